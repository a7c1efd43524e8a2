"""What tests share: servers, fakes and samples. No service imports it."""

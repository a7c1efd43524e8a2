// Starts Swagger UI on the API documentation page.

document.addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("documentation");
  SwaggerUIBundle({ url: place.dataset.document, domNode: place, deepLinking: true, defaultModelsExpandDepth: 0, validatorUrl: null });
});

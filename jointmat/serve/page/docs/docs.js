// Swagger UI, from a Python package instead of a CDN.
SwaggerUIBundle({ dom_id: "#docs", url: "../openapi.json", deepLinking: true, validatorUrl: null });

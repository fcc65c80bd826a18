"""Machine-readable style rules: read (`rules`), translated (`vale`), applied (`engine`), mended (`mending`)."""

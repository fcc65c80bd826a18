"""content-pipeline, a reference workflow: draft, edit, check, ask an editor, publish. See docs/guide/content-pipeline.md."""

"""A notebook as a page that opens from the disk, without a kernel and without a network."""

WIDGET = "application/vnd.jupyter.widget-view+json"


def without_widgets(notebook):
    """The notebook, changed: where a slider stands, which does nothing on a page, a sentence."""
    notebook.metadata.pop("widgets", None)
    said = "In the notebook there are sliders here; the picture above shows where they start."
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if WIDGET in output.get("data", {}):
                output["data"] = {"text/plain": said}
    return notebook


def html(notebook) -> str:
    """The notebook as one page; formulas are MathML, which browsers draw without any script."""
    import re

    from latex2mathml.converter import convert
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def inline_math(self, body):
            return convert(body)

        def block_math(self, body):
            return convert(body, display="block")

    def markdown(source):
        return MarkdownWithMath(renderer=Renderer(escape=False)).render(source)

    exporter = HTMLExporter(filters={"markdown2html": markdown})
    content, _ = exporter.from_notebook_node(without_widgets(notebook))
    # Its scripts come from elsewhere, for formulas in TeX, diagrams and widgets: none is left.
    return re.sub(r"<script\b.*?</script>", "", content, flags=re.DOTALL)

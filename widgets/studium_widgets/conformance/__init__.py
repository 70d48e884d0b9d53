"""The conformance kit: checks that any widget must pass, in a real Chromium.

For pytest there is the plugin `studium-widgets` (`plugin.py`), which is loaded automatically:

    def test_my_widget_conforms(conforms):
        conforms(MyWidget)

On the command line, `python -m studium_widgets.conformance my_topic.widget:MyWidget --json` prints a list of
{"widget", "name", "passed", "detail"}; `--frames` measures frame times instead. The checks test `MyWidget.example()`,
the frame times are those of `MyWidget.largest()`. It needs `pip install 'studium[conformance]'` and Chromium.
"""

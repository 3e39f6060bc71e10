"""The app, for  streamlit run app.py;  dermassist app  does the same where it is installed."""

from streamlit.starlette import App

from dermassist.interfaces.app_server import PROGRAM
from dermassist.interfaces.web.downloads import ROUTE
from dermassist.interfaces.web.guard import GUARD

app = App(PROGRAM, routes=[ROUTE], middleware=[GUARD])

"""The app, for  streamlit run app.py;  dermassist app  does the same where it is installed."""

from dermassist.interfaces.web.program import main

main()

"""The app for  streamlit run app.py;  with the package installed,  dermassist app  does the same."""

from dermassist.interfaces.web.program import main

main()

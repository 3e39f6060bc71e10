"""The Streamlit app: a thin front over ``assess()``; everything stays on this machine."""

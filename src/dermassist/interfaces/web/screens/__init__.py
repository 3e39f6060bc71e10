"""The pages, one function each; not in ``pages``, which Streamlit would serve past the entrance."""

"""The commands of `python -m benchmark`, in modules by what a user does with them.

A command is a function with `@app.command`: its signature gives its options, its docstring the
help, and what it returns is the exit code (None: 0). What takes long to import is imported within
it, as all these modules are imported for every command.
"""

"""The page on which one draws a digit and looks into the network: `chainrule serve RUN`.

`looking` asks the network, `lessons` teaches copies of it, `app` says who may ask for what, `guard`
turns strangers away, `running` opens the door. What the browser gets is in `pages/`. It needs the
extra `serve`: Starlette and uvicorn.
"""

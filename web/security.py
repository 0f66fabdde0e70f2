"""Security headers, and cookies that never leave HTTPS once they were set over it."""

from flask import Flask, g, request
from flask.sessions import SecureCookieSessionInterface
from secure import ContentSecurityPolicy, ReferrerPolicy, Secure, XContentTypeOptions, XFrameOptions
from werkzeug.wrappers import Response


class SecureOverHTTPSCookies(SecureCookieSessionInterface):
    """Cookies that were set over HTTPS are never sent without it."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Whether the cookie has the attribute ``Secure``."""
        return super().get_cookie_secure(app) or request.is_secure


def security_headers(*, style: str = "'self'", script: str = "'self'") -> Secure:
    """The headers of a page.

    :param style: the source of its styles, as in a Content-Security-Policy.
    :param script: the source of its scripts, and the only place that they may connect to.
    """
    return Secure(
        # Everything comes from this site. Images may also come from the page itself (``data:``) and, while a photo is
        # being sent, from the browser's memory (``blob:``).
        csp=ContentSecurityPolicy()
        .default_src("'none'")
        .style_src(style)
        .script_src(script)
        .connect_src(script)
        .img_src("'self'", "data:", "blob:")
        .form_action("'self'")
        .base_uri("'none'")
        .frame_ancestors("'none'"),
        xcto=XContentTypeOptions().nosniff(),
        xfo=XFrameOptions().deny(),
        referrer=ReferrerPolicy().no_referrer(),
    )


PAGE_HEADERS = security_headers()
REPORT_HEADERS = security_headers(style="'unsafe-inline'", script="'none'")  # one file that contains its own style


def init_app(app: Flask) -> None:
    """Add the headers to every answer; a view that needs others puts them into ``g.headers``."""
    app.session_interface = SecureOverHTTPSCookies()

    @app.after_request
    def add_headers(response: Response) -> Response:
        g.get("headers", PAGE_HEADERS).set_headers(response)
        return response

"""Security headers, cookies that never leave HTTPS once they were set over it, and forms of other sites."""

from flask import Flask, g, request
from flask.sessions import SecureCookieSessionInterface
from secure import ContentSecurityPolicy, ReferrerPolicy, Secure, XContentTypeOptions, XFrameOptions
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response

from inference.sentences import Sentence

NO_REFERRER = ReferrerPolicy().no_referrer()


class SecureOverHTTPSCookies(SecureCookieSessionInterface):
    """Cookies that were set over HTTPS are never sent without it."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Whether the cookie has the attribute ``Secure``."""
        return super().get_cookie_secure(app) or request.is_secure


def security_headers(
    *, style: str = "'self'", script: str = "'self'", referrer: ReferrerPolicy = NO_REFERRER
) -> Secure:
    """The headers of a page.

    :param style: the source of its styles, as in a Content-Security-Policy.
    :param script: the source of its scripts, and the only place that they may connect to.
    :param referrer: whom the browser tells where a request comes from.
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
        .manifest_src("'self'")
        .worker_src("'self'")
        .form_action("'self'")
        .base_uri("'none'")
        .frame_ancestors("'none'"),
        xcto=XContentTypeOptions().nosniff(),
        xfo=XFrameOptions().deny(),
        referrer=referrer,
    )


PAGE_HEADERS = security_headers()
#: Of a page whose forms are checked with ``check_own_page``: to posts of other pages, browsers add "Origin: null".
FORM_HEADERS = security_headers(referrer=ReferrerPolicy().same_origin())
REPORT_HEADERS = security_headers(style="'unsafe-inline'", script="'none'")  # one file that contains its own style


def init_app(app: Flask) -> None:
    """Add the headers to every answer; a view that needs others puts them into ``g.headers``."""
    app.session_interface = SecureOverHTTPSCookies()
    page_headers = FORM_HEADERS if app.config["FEEDBACK"] else PAGE_HEADERS

    @app.after_request
    def add_headers(response: Response) -> Response:
        g.get("headers", page_headers).set_headers(response)
        return response


def check_own_page() -> None:
    """Refuse a form that was not sent from a page of this site.

    Browsers send ``Sec-Fetch-Site`` over HTTPS and to the machine that they run on. Elsewhere, as in a local network,
    ``Origin`` has to do; its scheme is not compared, because a proxy that is not trusted may have changed it.

    :raises Forbidden: it comes from another site, or the browser does not say from where.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is None:
        is_own = request.headers.get("Origin") in (f"https://{request.host}", f"http://{request.host}")
    else:
        is_own = site == "same-origin"
    if not is_own:
        raise Forbidden(
            Sentence("This can only be sent from a page of this site. Please open the page, and send it from there.")
        )

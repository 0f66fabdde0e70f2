"""What every answer tells the browser that pages of this site never do."""

from secure import ContentSecurityPolicy, ReferrerPolicy, Secure, XContentTypeOptions, XFrameOptions


def security_headers(*, style: str = "'self'", script: str = "'self'") -> Secure:
    """What a page never does.

    :param style: where its style comes from, as a source of a Content-Security-Policy.
    :param script: where its script comes from, and may ask for something.
    """
    return Secure(
        # The page, its style and its script come from here, a picture from the page itself or, while it is being sent,
        # from the browser's memory, and nothing from anywhere else.
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
REPORT_HEADERS = security_headers(style="'unsafe-inline'", script="'none'")  # one file, with its style in it

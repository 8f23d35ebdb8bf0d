/* What goes wrong with a file that is served: see serving.h. */
#include "files/serving.h"

#include "http/request_id.h"
#include "os/error.h"

/* A response that has begun is cut, so that nobody takes it for whole. */
void lh_serving_fail(struct lh_serving *s, unsigned status)
{
    s->state = LH_SERVING_ENDED;
    lh_exchange_fail(s->ex, status);
}

/* What the client may not have, and what is ours to mend. */
static unsigned status_of(int error)
{
    switch (error) {
    case LH_SYS_ENOENT:
    case LH_SYS_ENOTDIR:
    case LH_SYS_ENAMETOOLONG:
        return 404;
    case LH_SYS_EACCES:
    case LH_SYS_EPERM:
    case LH_SYS_EXDEV:
    case LH_SYS_ELOOP:
    case LH_SYS_ENXIO:
    case LH_SYS_ENODEV:
        return 403;
    case LH_SYS_EAGAIN:
    case LH_SYS_ENOMEM:
    case LH_SYS_EMFILE:
    case LH_SYS_ENFILE:
        return 503;
    default:
        return 500;
    }
}

/* The directory itself is always there, or somebody should know. */
void lh_serving_error(struct lh_serving *s, int error)
{
    unsigned status = status_of(error);
    bool of_root = s->state == LH_SERVING_ROOT;

    if (lh_sys_is_no_room(error))
        s->ex->ctx->wants_collection = true;
    if (status >= 500 || of_root)
        lh_log_request(s->ex, LH_LOG_FAILURES, "'%s': %s",
                       of_root ? s->options->directory : s->path,
                       lh_sys_text(error));
    lh_serving_fail(s, status);
}

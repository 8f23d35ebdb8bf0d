/* Publishing: from any thread to every worker that has a subscriber. */
#ifndef LH_SERVER_PUBLISH_H
#define LH_SERVER_PUBLISH_H

#include "server/worker.h"

/* Before a worker exists. */
void lh_publish_init(struct lhttpd_server_t *s);

/* 0, also where nobody subscribes; LHTTPD_ENOMEM, LHTTPD_EINVAL as
 * lh_hub.publish. */
int lh_publish(struct lhttpd_server_t *s, struct lh_str channel,
               struct lh_str data);

/* A worker's part. */
void lh_publish_begin_worker(struct lh_worker *w);

#endif

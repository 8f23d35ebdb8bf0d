/* The credentials that a worker has: see held_creds.h. */
#include "net/held_creds.h"

void lh_held_creds_init(struct lh_held_creds *held, struct lh_creds *creds)
{
    held->creds = lh_creds_share(creds);
    atomic_init(&held->given, NULL);
}

void lh_held_creds_deinit(struct lh_held_creds *held)
{
    lh_creds_free(atomic_exchange(&held->given, NULL));
    lh_creds_free(held->creds);
}

void lh_held_creds_give(struct lh_held_creds *held, struct lh_creds *creds)
{
    lh_creds_free(atomic_exchange(&held->given, lh_creds_share(creds)));
}

/* A handshake that finds none, as nearly all do, costs a load. */
void lh_held_creds_take(struct lh_held_creds *held)
{
    if (!atomic_load_explicit(&held->given, memory_order_acquire))
        return;
    lh_creds_free(held->creds);
    held->creds = atomic_exchange(&held->given, NULL);
}

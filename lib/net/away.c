/* Steps of handshakes that helper threads do: see away.h. */
#include "net/away.h"

#include "base/list.h"

#include <assert.h>

/* Steps that are away for each helper: the next is there when one ends. */
#define STEPS_A_HELPER 4

bool lh_away_go(struct lh_transport *t, struct lh_away *away,
                void (*step)(struct lh_crew_job *job))
{
    struct lh_net_pools *pools = t->pools;

    assert(!t->away);
    if (!pools->crew)
        return false;
    away->job.run = step;
    away->transport = t;
    if (!lh_crew_give(pools->crew, &away->job))
        return false;
    t->away = true;
    pools->away++;
    return true;
}

void lh_away_call(const struct lh_net_pools *pools)
{
    if (pools->crew)
        lh_crew_call(pools->crew);
}

unsigned lh_away_room(const struct lh_net_pools *pools)
{
    unsigned most =
        pools->crew ? lh_crew_helpers(pools->crew) * STEPS_A_HELPER : 0;

    return pools->away < most ? most - pools->away : 0;
}

bool lh_away_is_full(const struct lh_net_pools *pools)
{
    return pools->crew && lh_away_room(pools) == 0;
}

static void steps_back(struct lh_net_pools *pools, struct lh_mailbox_node *node)
{
    while (node) {
        struct lh_mailbox_node *next = node->next;
        struct lh_away *away = LH_OF(node, struct lh_away, job.node);
        struct lh_transport *t = away->transport;
        t->away = false;
        pools->away--;
        if (t->unwanted)
            t->ops->free(t);
        else
            pools->back(t);
        node = next;
    }
}

void lh_away_take(struct lh_net_pools *pools)
{
    steps_back(pools, lh_crew_take(pools->crew));
}

void lh_away_end(struct lh_net_pools *pools)
{
    struct lh_crew *crew = pools->crew;

    pools->crew = NULL;
    steps_back(pools, lh_crew_free(crew));
    assert(pools->away == 0);
}

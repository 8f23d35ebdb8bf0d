/* Channels without a server, for the handlers of a test_script: what they
 * publish is posted to the one worker there is, as server/publish.c would. */
#ifndef TEST_LIB_CHANNELS_H
#define TEST_LIB_CHANNELS_H

#include "base/channel.h"
#include "base/hub.h"
#include "lib/script.h"

/* More in one message is refused. */
#define TEST_CHANNELS_BYTES 1000

struct test_channels {
    struct lh_hub hub;
    struct lh_channels of_worker;
    struct test_script *script;
};

/* Before the script loads: initialises that too. */
void test_channels_init(struct test_channels *c, struct test_script *script);

/* The script has gone, and every subscription with it. */
void test_channels_deinit(struct test_channels *c);

/* As httpd.publish of the channel "a": it is there with the next deliver. */
void test_channels_post(struct test_channels *c, struct lh_str text);

/* Who waits for what was posted gets it; then the script runs. */
void test_channels_deliver(struct test_channels *c);

/* Both. */
void test_channels_publish(struct test_channels *c, const char *text);

#endif

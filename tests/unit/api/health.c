#include "../engine/rig.h"
#include "served.h"

static served s;
static rig g;

static void says(const char *path, int status, const char *want) {
    char *have;
    int got = ask_once(&s, "GET", path, "", &have);
    ck_assert_msg(got == status && strstr(have, want), "%s: %d %s", path, got, have);
    free(have);
}

START_TEST(while_loading) {
    serve(&s, NULL);
    sl_api_loading(s.api, "opening the model");
    says("/livez", 200, "ok");
    says("/readyz", 503, "opening the model");
    says("/health", 503, "\"status\":\"loading\"");
    says("/v1/health", 503, "\"status\":\"loading\"");
    says("/ping", 503, "\"status\":\"loading\"");
    sl_api_drain(s.api);
    says("/readyz", 503, "draining");
    unserve(&s);
}
END_TEST

/* Promise 5: serving, full of work, stuck, draining. */
START_TEST(with_an_engine) {
    rig_load(&g, "mixtral-gqa");
    rig_start(&g);
    serve(&s, "gpt2");
    s.api->engine = g.g;
    s.api->config.stuck_seconds = 3600;
    says("/livez", 200, "ok");
    says("/readyz", 200, "ok");
    says("/health", 200, "\"status\":\"ok\",\"running\":0,\"waiting\":0,\"model\":\"model\"");
    says("/version", 200, "{\"version\":\"");
    static asked a;
    ask(&a, 10, 100);
    atomic_store(&g.hold, true); /* the engine thread stands still with work */
    client *c = client_new(&g, a.spec);
    ck_assert_int_eq(client_submit(&g, c), SL_OK);
    sem_wait(&g.news);
    sl_engine_stuck_ns(g.g); /* the first look notes where the work stands */
    says("/health", 200, "\"running\":1,\"waiting\":0");
    s.api->config.stuck_seconds = 0;
    says("/livez", 503, "stuck");
    says("/readyz", 503, "stuck");
    says("/health", 503, "\"status\":\"stuck\"");
    atomic_store(&g.hold, false);
    rig_wait(&g, 1);
    client_free(c);
    s.api->config.stuck_seconds = 3600;
    says("/livez", 200, "ok");
    sl_api_leave(s.api); /* balancers are told to go; who still comes is served */
    says("/readyz", 503, "draining");
    says("/health", 503, "\"status\":\"draining\"");
    ck_assert(!s.api->draining);
    sl_api_drain(s.api);
    says("/livez", 200, "ok");
    says("/readyz", 503, "draining");
    s.api->engine = NULL;
    unserve(&s);
    rig_stop(&g);
    rig_unload(&g);
}
END_TEST

int main(void) { return RUN_TESTS("api/health", 60, while_loading, with_an_engine); }

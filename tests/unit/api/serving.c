#include "../engine/rig.h"
#include "served.h"

#include "api/serving.h"
#include "base/clock.h"

/* The life of a request with a real engine behind it: deadlines and silences are moved, not waited for. */

static served s;
static rig g;
static atomic_bool hold, stands; /* the engine shall stand still where it has news; it does */

static void wake(void *api) {
    sl_api_wake(api);
    while (atomic_load(&hold)) {
        atomic_store(&stands, true);
        usleep(100);
    }
    atomic_store(&stands, false);
}

static void start(void) {
    rig_load(&g, "mixtral-gqa");
    serve(&s, "gpt2");
    g.config.wake = wake;
    g.config.wake_arg = s.api;
    rig_start(&g);
    s.api->config.tokenizer = g.l.tokenizer;
    s.api->config.model.vocab = sl_tokenizer_count(g.l.tokenizer);
    s.api->config.request_timeout = 600;
    s.api->config.ping_seconds = 15;
    s.api->ctx = g.config.ctx;
    s.api->engine = g.g;
}

static void until_idle(void) {
    while (s.api->live || s.api->answer_bytes) uv_run(&s.loop, UV_RUN_NOWAIT);
}

static void stop(void) {
    until_idle();
    ck_assert_ptr_null(s.api->servings);
    s.api->engine = NULL;
    g.g = sl_engine_free(g.g);
    unserve(&s);
    rig_unload(&g);
}

/* Sends it and runs the loop until it is in this stage. */
static int begin(const char *body, sl__stage stage) {
    int fd = connected(&s), before = s.api->live;
    ask_for(&s, fd, "POST", "/v1/completions", body, strlen(body));
    while (s.api->live == before || s.api->servings->stage != stage) uv_run(&s.loop, UV_RUN_NOWAIT);
    return fd;
}

static void hears(int fd, int status, const char *want) {
    char *have;
    int got = hear(&s, fd, &have);
    ck_assert_msg(got == status && strstr(have, want), "%d, not %d: %s", got, status, have);
    free(have);
}

static void asks(const char *body, int status, const char *want) {
    int fd = connected(&s);
    ask_for(&s, fd, "POST", "/v1/completions", body, strlen(body));
    hears(fd, status, want);
}

#define LONG "{\"prompt\":[1,2,3],\"max_tokens\":200,\"ignore_eos\":true"

/* A request after whose first step the engine stands still: those that come after it stay in the queue. */
static int block(void) {
    atomic_store(&hold, true);
    int fd = begin(LONG "}", SL__ASKED);
    while (!atomic_load(&stands)) uv_run(&s.loop, UV_RUN_NOWAIT);
    return fd;
}

static void unblock(int fd) {
    atomic_store(&hold, false);
    hears(fd, 200, "\"completion_tokens\":200");
}

START_TEST(whole_and_stream) {
    start();
    asks("{\"prompt\":[1,2,3],\"max_tokens\":5,\"ignore_eos\":true}", 200, "\"completion_tokens\":5");
    asks(LONG ",\"stream\":true}", 200, "data: [DONE]");
    asks("{\"prompt\":[1],\"max_tokens\":999}", 400, "context_length_exceeded");
    stop();
}
END_TEST

START_TEST(deadlines) {
    start();
    atomic_store(&hold, true);
    int plain = begin(LONG "}", SL__ASKED);
    s.api->servings->arrived -= 700 * SL_SECOND;
    sl__servings_tick(s.api);
    sl__servings_tick(s.api); /* once is enough */
    atomic_store(&hold, false);
    hears(plain, 504, "\"code\":\"timeout\"");
    until_idle();
    atomic_store(&hold, true);
    int stream = begin(LONG ",\"stream\":true}", SL__TELLING);
    s.api->servings->arrived -= 700 * SL_SECOND;
    sl__servings_tick(s.api);
    atomic_store(&hold, false);
    hears(stream, 200, "took longer than the server allows");
    stop();
}
END_TEST

START_TEST(silence) { /* the head goes out before the first token, and a comment with it */
    start();
    int blocks = block(), fd = begin(LONG ",\"stream\":true}", SL__ASKED);
    s.api->servings->told -= 20 * SL_SECOND;
    sl__servings_tick(s.api);
    ck_assert_int_eq(s.api->servings->stage, SL__TELLING);
    uv_run(&s.loop, UV_RUN_NOWAIT);
    unblock(blocks);
    hears(fd, 200, ": ping\n\n");
    stop();
}
END_TEST

START_TEST(hang_ups) { /* Promise 3: they cost nobody else */
    static const struct {
        const char *body;
        sl__stage stage;
    } lives[] = {{LONG "}", SL__ASKED}, {LONG ",\"stream\":true}", SL__ASKED}, {LONG ",\"stream\":true}", SL__TELLING}};
    start();
    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
        int blocks = lives[i].stage == SL__ASKED ? block() : -1;
        atomic_store(&hold, true);
        int fd = begin(lives[i].body, lives[i].stage);
        close(fd);
        while (s.api->servings->stage != SL__GONE && s.api->servings->stage != SL__OVER) uv_run(&s.loop, UV_RUN_NOWAIT);
        ck_assert_int_eq(s.api->servings->cut, SL_CANCEL_CLIENT);
        if (blocks >= 0) unblock(blocks);
        atomic_store(&hold, false);
        until_idle();
        asks("{\"prompt\":[1,2,3],\"max_tokens\":1,\"ignore_eos\":true}", 200, "\"completion_tokens\":1");
        until_idle();
    }
    stop();
}
END_TEST

START_TEST(the_drains_end) {
    start();
    int plain = block(), stream = begin(LONG ",\"stream\":true}", SL__ASKED);
    sl_api_drain(s.api);
    sl_api_cancel_all(s.api);
    atomic_store(&hold, false);
    hears(plain, 503, "\"code\":\"draining\"");
    hears(stream, 503, "\"code\":\"draining\"");
    char *have;
    ck_assert_int_eq(ask_once(&s, "POST", "/v1/completions", LONG "}", &have), 503);
    free(have);
    stop();
}
END_TEST

int main(void) { return RUN_TESTS("api/serving", 60, whole_and_stream, deadlines, silence, hang_ups, the_drains_end); }

#include "cli/plan.h"
#include "forward/kv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../run.h"

static sl_model *m;
static sl_error e;

static void open_model(void) {
    char path[512];
    snprintf(path, sizeof path, "%s/reference/checkpoints/qwen3moe-gqa", getenv("SLUICE_TESTS"));
    ck_assert_int_eq(sl_kernels_choose(NULL, &e), SL_OK);
    ck_assert_msg(sl_model_open(path, &m, &e) == SL_OK, "%s", e.message);
}

static void close_model(void) { m = sl_model_close(m); }

static sl_settings settings(void) {
    sl_settings s = {.kv_type = "f16"};
    s.engine.max_sequences = 4;
    s.engine.queue = 8;
    return s;
}

START_TEST(defaults_fit) {
    open_model();
    sl_settings s = settings();
    sl_plan p;
    ck_assert_msg(sl_plan_make(&s, m, &p, &e) == SL_OK, "%s", e.message);
    ck_assert_int_eq(s.engine.ctx, m->hp.context);
    ck_assert_int_eq(s.engine.kv_pages, m->hp.context / SL_PAGE * 4);
    ck_assert_int_ge(s.engine.threads, 1);
    ck_assert_uint_ge(p.bytes[SL_PLAN_KV], p.page_bytes * (uint64_t)s.engine.kv_pages);
    ck_assert(p.weights_fit);
    close_model();
}
END_TEST

START_TEST(kv_memory_is_kept) {
    open_model();
    sl_settings s = settings();
    sl_plan p;
    s.engine.ctx = 64;
    ck_assert_int_eq(sl_plan_make(&s, m, &p, &e), SL_OK);
    s.kv_memory = (int64_t)p.page_bytes * 7 + 1;
    s.engine.kv_pages = 0;
    ck_assert_int_eq(sl_plan_make(&s, m, &p, &e), SL_OK);
    ck_assert_int_eq(s.engine.kv_pages, 7);
    close_model();
}
END_TEST

START_TEST(the_prefix_cache_is_as_asked) {
    open_model();
    for (int i = 0; i < 2; i++) {
        sl_settings s = settings();
        sl_plan p;
        sl_buffer out = {0};
        s.prefix_cache = i ? "on" : "off";
        s.serves = true;
        ck_assert_msg(sl_plan_make(&s, m, &p, &e) == SL_OK, "%s", e.message);
        ck_assert_int_eq(s.engine.prefix_cache, i);
        sl_plan_print(&s, m, &p, &out);
        ck_assert_ptr_nonnull(strstr(sl_buffer_text(&out), i ? "kept after a request (--prefix-cache)"
                                                         : "given up after a request (--prefix-cache)"));
        sl_buffer_done(&out);
    }
    close_model();
}
END_TEST

/* Promise 4 */
START_TEST(what_does_not_fit_is_refused) {
    open_model();
    sl_settings s = settings();
    sl_plan p;
    s.kv_memory = INT64_C(1) << 50;
    ck_assert_int_eq(sl_plan_make(&s, m, &p, &e), SL_TOO_LONG);
    ck_assert_msg(strstr(e.message, "does not fit") && strstr(e.message, "--kv-memory"), "%s", e.message);
    s = settings();
    s.engine.ctx = 256;
    s.kv_memory = 1; /* not even one page */
    ck_assert_int_eq(sl_plan_make(&s, m, &p, &e), SL_MISUSE);
    ck_assert_msg(strstr(e.message, "--kv-memory: 1 B is too little: the keys and values of one sequence of 256 positions"), "%s", e.message);
    s = settings();
    s.engine.ctx = m->hp.context + 1;
    ck_assert_int_eq(sl_plan_make(&s, m, &p, &e), SL_MISUSE);
    close_model();
}
END_TEST

/* Rope with divisors for short sequences only bounds the context, and a longer one is refused by name; with two lists it bounds the
 * default alone, and what was asked is said. Windows do not. */
START_TEST(divided_rope_bounds_the_context) {
    open_model();
    m->hp.rope_scaling = SL_ROPE_DIVIDED;
    m->hp.rope_original = 64;
    m->hp.window[0] = 16;
    sl_settings s = settings();
    sl_plan p;
    sl_buffer out = {0};
    ck_assert_int_gt(m->hp.context, 64);
    ck_assert_int_eq(sl_plan_make(&s, m, &p, &e), SL_OK);
    ck_assert_int_eq(s.engine.ctx, 64);
    sl_plan_print(&s, m, &p, &out);
    ck_assert_msg(strstr(sl_buffer_text(&out), "see the newest 16 positions only"), "%s", sl_buffer_text(&out));
    ck_assert_msg(strstr(sl_buffer_text(&out), "of more than 64 positions: none is longer"), "%s", sl_buffer_text(&out));
    sl_buffer_done(&out);
    s = settings();
    s.engine.ctx = 65;
    ck_assert_int_eq(sl_plan_make(&s, m, &p, &e), SL_MISUSE);
    ck_assert_msg(strstr(e.message, "--ctx 64 is the most, not 65"), "%s", e.message);
    m->hp.rope_long = true;
    s = settings();
    s.engine.ctx = 65;
    ck_assert_int_eq(sl_plan_make(&s, m, &p, &e), SL_OK);
    ck_assert_int_eq(s.engine.ctx, 65);
    out = (sl_buffer){0};
    sl_plan_print(&s, m, &p, &out);
    ck_assert_msg(strstr(sl_buffer_text(&out), "turns all sequences as long ones"), "%s", sl_buffer_text(&out));
    sl_buffer_done(&out);
    s = settings();
    ck_assert_int_eq(sl_plan_make(&s, m, &p, &e), SL_OK);
    ck_assert_int_eq(s.engine.ctx, 64);
    out = (sl_buffer){0};
    sl_plan_print(&s, m, &p, &out);
    ck_assert_msg(strstr(sl_buffer_text(&out), "with --ctx above 64"), "%s", sl_buffer_text(&out));
    sl_buffer_done(&out);
    m->hp.rope_original = m->hp.context;
    s = settings();
    ck_assert_int_eq(sl_plan_make(&s, m, &p, &e), SL_OK);
    ck_assert_int_eq(s.engine.ctx, m->hp.context);
    close_model();
}
END_TEST

/* Layers with a window have pages of their own. Whatever the memory: what is planned is within it, the longest sequence fits, and where the
 * context is chosen it shrinks until it does. */
START_TEST(windows_are_planned) {
    open_model();
    m->hp.window[0] = 16;
    sl_settings s = settings();
    sl_plan p;
    sl_buffer out = {0};
    ck_assert_int_eq(sl_plan_make(&s, m, &p, &e), SL_OK);
    ck_assert_int_eq(s.engine.kv_pages, m->hp.context / SL_PAGE * 4);
    ck_assert_int_eq(s.engine.kv_window_pages, sl_engine_window_pages_for(&s.engine).running);
    ck_assert_uint_eq(p.page_bytes + p.window_page_bytes, sl_kv_cost_of(&m->hp, SL_KV_I16).page_bytes);
    ck_assert_uint_eq(p.bytes[SL_PLAN_KV], p.page_bytes * (uint64_t)s.engine.kv_pages + p.window_page_bytes * (uint64_t)s.engine.kv_window_pages);
    ck_assert_uint_eq(sl_plan_sequence_bytes(&s, m, &p, 256), 8 * p.page_bytes + 2 * p.window_page_bytes);
    ck_assert_uint_eq(sl_plan_sequence_bytes(&s, m, &p, 9), p.page_bytes + p.window_page_bytes);
    sl_plan_print(&s, m, &p, &out);
    ck_assert_msg(strstr(sl_buffer_text(&out), "see the newest 16 positions only, and keep no others: "), "%s", sl_buffer_text(&out));
    sl_buffer_done(&out);
    uint64_t one = 8 * p.page_bytes + 2 * p.window_page_bytes, all = 8 * (p.page_bytes + p.window_page_bytes);
    int longest = 0;
    for (uint64_t bytes = 1; bytes < 2 * all; bytes += all / 97) {
        for (int given = 0; given < 2; given++) {
            s = settings();
            s.kv_memory = (int64_t)bytes;
            if (given) s.engine.ctx = 256;
            sl_status st = sl_plan_make(&s, m, &p, &e);
            if (given) ck_assert_int_eq(st, bytes < one ? SL_MISUSE : SL_OK);
            if (st != SL_OK) continue;
            ck_assert_uint_le(p.bytes[SL_PLAN_KV], bytes);
            ck_assert_int_gt(s.engine.ctx, 0);
            ck_assert_int_ge(s.engine.kv_pages * SL_PAGE, s.engine.ctx);
            ck_assert_int_ge(s.engine.kv_window_pages, sl_engine_window_pages_for(&s.engine).least);
            ck_assert(given || s.engine.ctx >= longest || s.engine.ctx == m->hp.context);
            longest = given ? longest : s.engine.ctx;
        }
    }
    ck_assert_int_eq(longest, m->hp.context);
    close_model();
}
END_TEST

/* What is refused is shown: weights, keys and values, threads. */
START_TEST(a_refused_plan_is_filled) {
    open_model();
    sl_plan p;
    for (int i = 0; i < 3; i++) {
        sl_settings s = settings();
        if (i == 0) s.engine.ctx = m->hp.context + 1;
        if (i == 1) s.engine.ctx = 2000000000;
        if (i == 2) s.kv_memory = INT64_C(1) << 50;
        memset(&p, 0, sizeof p);
        ck_assert_int_ne(sl_plan_make(&s, m, &p, &e), SL_OK);
        ck_assert(p.weights && p.bytes[SL_PLAN_KV] && p.bytes[SL_PLAN_WORKSPACE] && p.page_bytes && p.total_private && p.machine.memory_limit);
        ck_assert(s.engine.threads > 0 && s.engine.ctx > 0 && s.engine.ctx <= m->hp.context);
    }
    close_model();
}
END_TEST

START_TEST(the_lines_say_what_was_chosen) {
    open_model();
    sl_settings s = settings();
    sl_plan p;
    sl_buffer out = {0};
    ck_assert_int_eq(sl_plan_make(&s, m, &p, &e), SL_OK);
    sl_plan_print(&s, m, &p, &out);
    for (const char **w = (const char *[]){"--threads", "--tier", "--ctx", "--kv-memory", "8 experts", "qwen3_moe", "requests ", NULL}; *w; w++)
        ck_assert_msg(strstr(sl_buffer_text(&out), *w), "%s", *w);
    char text[24];
    ck_assert_str_eq(sl_bytes_text(1536, text), "1.5 KiB");
    ck_assert_str_eq(sl_bytes_text(100, text), "100 B");
    sl_buffer_done(&out);
    close_model();
}
END_TEST

/* Promise 4: every bound that the server keeps is a line, and the lines add up. */
START_TEST(the_lines_add_up) {
    open_model();
    for (int serves = 0; serves < 2; serves++) {
        sl_settings s = settings();
        sl_plan p;
        sl_buffer out = {0};
        s.serves = serves;
        s.http.connections = 100;
        s.http.body_limit = 4 << 20;
        ck_assert_int_eq(sl_plan_make(&s, m, &p, &e), SL_OK);
        uint64_t total = 0;
        for (int i = 0; i < SL_PLAN_LINES; i++) {
            total += p.bytes[i];
            bool only_served = i == SL_PLAN_METRICS || i == SL_PLAN_ANSWERS || i == SL_PLAN_TEXTS || i == SL_PLAN_DOCUMENTS ||
                               i == SL_PLAN_RENDERINGS ||
                               i == SL_PLAN_BODIES || i == SL_PLAN_CONNECTIONS;
            if (i != SL_PLAN_TOKENIZER && i != SL_PLAN_STATE) ck_assert_int_eq(p.bytes[i] > 0, serves || !only_served);
        }
        ck_assert_uint_eq(total, p.total_private);
        uint64_t api = p.bytes[SL_PLAN_TEXTS] + p.bytes[SL_PLAN_DOCUMENTS] + p.bytes[SL_PLAN_RENDERINGS] + p.bytes[SL_PLAN_ANSWERS];
        ck_assert_uint_eq(api, serves ? sl_api_plan_for(s.api.memory).total : 0);
        ck_assert_uint_eq(p.bytes[SL_PLAN_REQUESTS], s.engine.request_memory); /* what the engine will keep */
        ck_assert_uint_le(p.bytes[SL_PLAN_REQUESTS], 128 << 20);
        sl_plan_print(&s, m, &p, &out);
        for (int i = 0; i < SL_PLAN_LINES; i++)
            if (p.bytes[i]) ck_assert_msg(strstr(sl_buffer_text(&out), sl_plan_names[i]), "%s", sl_plan_names[i]);
        uint64_t connections = p.bytes[SL_PLAN_CONNECTIONS];
        s.http.connections = 1000;
        ck_assert_int_eq(sl_plan_make(&s, m, &p, &e), SL_OK);
        if (serves) ck_assert_uint_ge(p.bytes[SL_PLAN_CONNECTIONS], connections + 900 * 32768);
        sl_buffer_done(&out);
    }
    close_model();
}
END_TEST

/* What connections and bodies may take follows the memory; what was asked for stays. */
START_TEST(a_small_machine_has_fewer_connections) {
    struct { uint64_t limit; int connections; size_t bodies; } cases[] = {
        {UINT64_C(64) << 30, 4096, 64 << 20}, {UINT64_C(1) << 30, 2048, 32 << 20}, {UINT64_C(256) << 20, 512, 8 << 20},
        {UINT64_C(1) << 20, 64, 8 << 20}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sl_settings s = settings();
        s.http.body_limit = 4 << 20;
        sl_plan_http(&s, cases[i].limit);
        ck_assert_int_eq(s.http.connections, cases[i].connections);
        ck_assert_uint_eq(s.http.body_memory, cases[i].bodies);
    }
    sl_settings s = settings();
    s.http.connections = 9000;
    s.http.body_limit = 100 << 20;
    sl_plan_http(&s, UINT64_C(256) << 20);
    ck_assert_int_eq(s.http.connections, 9000);
    ck_assert_uint_eq(s.http.body_memory, 100 << 20);
}
END_TEST

int main(void) {
    return RUN_TESTS("cli/plan", 30, defaults_fit, kv_memory_is_kept, the_prefix_cache_is_as_asked, what_does_not_fit_is_refused,
                     divided_rope_bounds_the_context, windows_are_planned, a_refused_plan_is_filled, the_lines_say_what_was_chosen, the_lines_add_up,
                     a_small_machine_has_fewer_connections);
}

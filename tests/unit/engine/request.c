#include "base/alloc.h"
#include "base/clock.h"
#include "rig.h"

#include <malloc.h>

#include "../run.h"

static rig g;
static sl_error e;

static void open_rig(void) {
    rig_load(&g, "mixtral-gqa");
    rig_start(&g);
}

static void close_rig(void) {
    rig_stop(&g);
    rig_unload(&g);
}

static sl_status make(const sl_request_spec *s) {
    sl_request *r = NULL;
    e = (sl_error){0};
    sl_status st = sl_request_new(g.g, s, &r, &e);
    ck_assert_int_eq(st == SL_OK, r != NULL);
    sl_request_free(r);
    return st;
}

START_TEST(what_cannot_be_done_is_refused_by_name) {
    open_rig();
    static asked a;
#define REFUSED(change, code, name)                                 \
    do {                                                            \
        ask(&a, 10, 5);                                             \
        change;                                                     \
        ck_assert_int_eq(make(&a.spec), code);                      \
        ck_assert_str_eq(e.param, name);                            \
    } while (0)
    ask(&a, 10, 5);
    ck_assert_int_eq(make(&a.spec), SL_OK);
    REFUSED(a.spec.n = 0, SL_INVALID, "n");
    REFUSED(a.spec.n = 257, SL_INVALID, "n");
    REFUSED(a.spec.n = INT32_MAX, SL_INVALID, "n");
    REFUSED(a.spec.prompts = 0, SL_INVALID, "n");
    REFUSED(a.len = 0, SL_INVALID, "prompt");
    REFUSED(a.id[3] = -1, SL_INVALID, "prompt");
    REFUSED(a.id[3] = g.l.model->hp.vocab, SL_INVALID, "prompt");
    REFUSED(a.len = SIZE_MAX, SL_TOO_LONG, "prompt");
    REFUSED(a.spec.max_tokens = 247, SL_TOO_LONG, "prompt");
    REFUSED(a.spec.max_tokens = INT32_MAX, SL_TOO_LONG, "prompt");
    REFUSED(a.spec.max_tokens = -1, SL_INVALID, "max_tokens");
    REFUSED(a.spec.min_tokens = -1, SL_INVALID, "max_tokens");
    REFUSED(a.spec.stops = 17, SL_INVALID, "stop");
    REFUSED(ask_stop(&a, ""), SL_INVALID, "stop");
    REFUSED(ask_stop(&a, "x"); a.stop_len[0] = 257, SL_INVALID, "stop");
    REFUSED(a.spec.stop_tokens = 1; a.stop_token[0] = g.l.model->hp.vocab, SL_INVALID, "stop_token_ids");
    REFUSED(a.spec.sampling.bias_count = 1; a.bias[0].token = -1, SL_INVALID, "logit_bias");
    ask(&a, 10, 246);
    ck_assert_int_eq(make(&a.spec), SL_OK);
    close_rig();
}
END_TEST

START_TEST(what_needs_more_pages_than_there_are_is_refused) {
    rig_load(&g, "mixtral-gqa");
    g.config.kv_pages = 3;
    rig_start(&g);
    static asked a;
    ask(&a, 60, 36);
    ck_assert_int_eq(make(&a.spec), SL_OK);
    ask(&a, 60, 37);
    ck_assert_int_eq(make(&a.spec), SL_TOO_LONG);
    close_rig();
}
END_TEST

START_TEST(everything_is_copied) {
    open_rig();
    static asked a, b;
    for (unsigned i = 0; i < 40; i++) {
        ask_any(&a, i, g.l.model->hp.vocab);
        ask_any(&b, i, g.l.model->hp.vocab);
        client *want = rig_ask(&g, &a.spec), *c = client_new(&g, b.spec);
        memset(&b, 0xA5, sizeof b);
        ck_assert_int_eq(client_submit(&g, c), SL_OK);
        rig_wait(&g, 1);
        ck_assert_uint_eq(c->choice[0].log_len, want->choice[0].log_len);
        ck_assert_int_eq(memcmp(c->choice[0].log, want->choice[0].log, want->choice[0].log_len), 0);
        client_free(c);
        client_free(want);
    }
    close_rig();
}
END_TEST

START_TEST(every_allocation_may_fail) {
    open_rig();
    static asked a;
    ask(&a, 100, 100);
    ask_stop(&a, "abc");
    a.spec.n = 3;
    a.spec.min_tokens = 3;
    a.spec.sampling.presence = a.spec.sampling.frequency = 1;
    a.spec.sampling.repetition = 2;
    a.spec.prompt_logprobs = 2;
    ck_assert_int_eq(make(&a.spec), SL_OK);
    /* A block lost at any site adds up over the turns; malloc's own bookkeeping moves by some bytes now and then. */
    enum { WARM = 2, TURNS = 34 };
    size_t used = 0;
    long n = 0;
    bool known = true;
    for (int turn = 0; turn < TURNS; turn++) {
        if (turn == WARM) used = mallinfo2().uordblks;
        sl_status st;
        n = 0;
        do {
            sl_alloc_fail_at(++n);
            sl_request *r = NULL;
            st = sl_request_new(g.g, &a.spec, &r, &e);
            sl_alloc_fail_at(0);
            known = known && (st == SL_OK ? r != NULL : st == SL_NOMEM && !r);
            sl_request_free(r);
        } while (st != SL_OK);
    }
    size_t after = mallinfo2().uordblks;
    ck_assert(known);
    ck_assert_int_gt(n, 5);
    ck_assert_uint_lt(after, used + 16 * (TURNS - WARM));
    close_rig();
}
END_TEST

/* Promise 3: the worst that an unstreamed request can give has room. */
START_TEST(an_unstreamed_answer_always_fits) {
    open_rig();
    static asked a;
    static char text[1 << 16];
    static sl_logprob top[SL_TOP_LOGPROBS];
    size_t longest = 3 * sl_tokenizer_longest(g.l.tokenizer);
    memset(text, 'x', sizeof text);
    for (int turn = 0; turn < 4; turn++) {
        ask(&a, 20, 100);
        a.spec.n = 3;
        a.spec.sampling.logprobs = turn & 1 ? SL_TOP_LOGPROBS : -1;
        a.spec.prompt_logprobs = turn & 2 ? SL_TOP_LOGPROBS : -1;
        sl_request *r;
        ck_assert_int_eq(sl_request_new(g.g, &a.spec, &r, &e), SL_OK);
        for (int c = 0; c < 3; c++) {
            for (int i = 0; turn & 2 && i < 20; i++)
                ck_assert(sl__request_emit(r, &(sl_event){.kind = SL_EVENT_PROMPT_TOKEN, .top = top, .top_count = i ? SL_TOP_LOGPROBS : 0}));
            for (int i = 0; i < 100; i++)
                ck_assert(sl__request_emit(r, &(sl_event){.kind = SL_EVENT_TOKEN, .choice = c, .token = i, .top = top,
                                                          .top_count = turn & 1 ? SL_TOP_LOGPROBS : 0, .text = text, .text_len = longest}));
            ck_assert(sl__request_emit(r, &(sl_event){.kind = SL_EVENT_FINISH, .choice = c, .text = text, .text_len = SL_MAX_STOP_BYTES + 9}));
        }
        sl_event ev;
        for (int i = 0; i < 3 * (101 + (turn & 2 ? 20 : 0)); i++) ck_assert(sl_request_next(r, &ev));
        ck_assert(!sl_request_next(r, &ev));
        sl_request_free(r);
    }
    close_rig();
}
END_TEST

START_TEST(too_large_an_unstreamed_answer_is_refused_streamed_it_is_bounded) {
    rig_load(&g, "mixtral-gqa");
    g.config.ctx = 4096;
    rig_start(&g);
    static asked a;
    ask(&a, 20, 4000);
    a.spec.sampling.logprobs = a.spec.prompt_logprobs = SL_TOP_LOGPROBS;
    ck_assert_int_eq(make(&a.spec), SL_OK);
    a.spec.n = 256;
    ck_assert_int_eq(make(&a.spec), SL_TOO_MUCH);
    ck_assert_str_eq(e.param, "max_tokens");
    sl_request *r;
    a.spec.n = 256;
    a.spec.stream = true;
    ck_assert_int_eq(sl_request_new(g.g, &a.spec, &r, &e), SL_OK);
    ck_assert_uint_le(r->ring.size, 8 << 20);
    static sl_logprob top[SL_TOP_LOGPROBS];
    int events = 0;
    sl_event token = {.kind = SL_EVENT_TOKEN, .token = 77, .top = top, .top_count = SL_TOP_LOGPROBS, .text = "word", .text_len = 4}, ev;
    while (sl__request_emit(r, &token)) events++;
    ck_assert_int_ge(events, 256 * 31); /* nobody is slow who leaves so many of each choice */
    for (int i = 0; i < events; i++) {
        ck_assert(sl_request_next(r, &ev));
        if (i == 10) ck_assert(sl__request_emit(r, &token));
        if (ev.token != 77 || ev.text_len != 4 || memcmp(ev.text, "word", 4)) ck_abort_msg("event %d", i);
    }
    ck_assert(sl_request_next(r, &ev));
    ck_assert(!sl_request_next(r, &ev));
    sl_request_free(r);
    close_rig();
}
END_TEST

START_TEST(a_request_says_how_it_went) {
    open_rig();
    static asked a;
    ask(&a, 30, 7);
    a.spec.n = 3;
    client *c = rig_ask(&g, &a.spec);
    ck_assert_int_eq(c->finish, SL_FINISH_LENGTH);
    ck_assert_str_eq(c->failure, "");
    ck_assert_int_eq(c->usage.prompt_tokens, 30); /* once a prompt, not once a choice */
    ck_assert_int_eq(c->usage.generated_tokens, 21);
    ck_assert(c->usage.queue_seconds >= 0 && c->usage.first_token_seconds >= c->usage.queue_seconds);
    ck_assert(c->usage.total_seconds >= c->usage.first_token_seconds && c->usage.first_token_seconds > 0);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(c->choice[i].finish, SL_FINISH_LENGTH);
    client_free(c);
    a.spec.arrived = sl_clock_ns() - 5 * SL_SECOND; /* its body and its prompt took so long */
    c = rig_ask(&g, &a.spec);
    ck_assert(c->usage.queue_seconds >= 5 && c->usage.first_token_seconds > 5 && c->usage.total_seconds > 5);
    client_free(c);
    close_rig();
}
END_TEST

/* Promise 4: what is reserved for a request is at least what it takes. */
START_TEST(memory_is_counted_before_it_is_taken) {
    rig_load(&g, "mixtral-gqa");
    rig_start(&g);
    static asked a;
    for (unsigned i = 0; i < 300; i++) {
        ask_any(&a, i, g.l.model->hp.vocab);
        if (i % 3 == 0) a.spec.n = 1 + (int)(i % 60);
        sl_request *r;
        ck_assert_int_eq(sl_request_new(g.g, &a.spec, &r, &e), SL_OK);
        size_t taken = r->ring.size + sl_arena_used(r->arena, SL_MEM_REQUEST);
        for (int k = 0; k < r->choices; k++) taken += r->sequence[k].held.text.cap + r->sequence[k].held.hidden.cap;
        ck_assert_uint_le(taken, r->bytes);
        ck_assert_uint_eq(atomic_load(&g.g->request_bytes), r->bytes);
        sl_request_free(r);
    }
    ck_assert_uint_eq(atomic_load(&g.g->request_bytes), 0);
    close_rig();
}
END_TEST

START_TEST(requests_that_memory_cannot_hold_wait_outside) {
    rig_load(&g, "mixtral-gqa");
    g.config.request_memory = 3 << 20;
    rig_start(&g);
    static asked a;
    ask(&a, 20, 100);
    a.spec.n = 16;
    sl_request *r[64];
    int made = 0;
    sl_status st = SL_OK;
    while (made < 64 && !(st = sl_request_new(g.g, &a.spec, &r[made], &e))) made++;
    ck_assert_int_eq(st, SL_FULL);
    ck_assert_int_gt(made, 0);
    ck_assert_uint_le(atomic_load(&g.g->request_bytes), 3 << 20);
    sl_request_free(r[--made]);
    ck_assert_int_eq(sl_request_new(g.g, &a.spec, &r[made], &e), SL_OK); /* a place is free again */
    for (int i = 0; i <= made; i++) sl_request_free(r[i]);
    a.spec.n = 256;
    ck_assert_int_eq(make(&a.spec), SL_TOO_MUCH); /* alone it is too much */
    close_rig();
}
END_TEST

int main(void) {
    return RUN_TESTS("engine/request", 60, what_cannot_be_done_is_refused_by_name, what_needs_more_pages_than_there_are_is_refused,
                     everything_is_copied, every_allocation_may_fail, an_unstreamed_answer_always_fits,
                     too_large_an_unstreamed_answer_is_refused_streamed_it_is_bounded, memory_is_counted_before_it_is_taken,
                     requests_that_memory_cannot_hold_wait_outside, a_request_says_how_it_went);
}

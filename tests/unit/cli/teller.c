#include "cli/teller.h"

#include "cli/load.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../run.h"

/* The engine with one client, on a tiny model that goes on for ever. */

#define TOKENS 60

static sl_loaded loaded;
static sl_settings s;
static sl_teller t;
static sl_engine *engine;
static sl_error e;
static void (*tell)(void *arg); /* the teller's own */
static atomic_int told;         /* how often the engine has said that there is news: once a step */

static void count_and_tell(void *arg) {
    atomic_fetch_add(&told, 1);
    tell(arg);
}

static void begin(void) {
    char path[512];
    snprintf(path, sizeof path, "%s/reference/checkpoints/qwen3moe-gqa", getenv("SLUICE_TESTS"));
    ck_assert_int_eq(sl_kernels_choose(getenv("SLUICE_TIER"), &e), SL_OK);
    ck_assert_msg(sl_load(path, &loaded, &e) == SL_OK, "%s", e.message);
    s = (sl_settings){.engine = {.threads = 1, .ctx = 256, .kv_pages = 16, .model = loaded.model, .tokenizer = loaded.tokenizer}, .top_p = 1};
    sl_teller_init(&t, &s.engine);
    ck_assert_int_eq(s.engine.max_sequences, 1);
    tell = s.engine.wake;
    s.engine.wake = count_and_tell;
    ck_assert_msg(sl_engine_new(&s.engine, &engine, &e) == SL_OK, "%s", e.message);
}

static void end(void) {
    engine = sl_engine_free(engine);
    sl_unload(&loaded);
    sl_teller_done(&t);
}

static sl_request *submit(void) {
    static const int32_t ids[] = {5, 6, 7};
    const int32_t *prompt[] = {ids};
    size_t len[] = {3};
    sl_request_spec spec = sl_teller_spec(&s);
    sl_request *r = NULL;
    spec.prompt = prompt;
    spec.prompt_len = len;
    spec.max_tokens = TOKENS;
    spec.ignore_eos = true;
    ck_assert_msg(sl_request_new(engine, &spec, &r, &e) == SL_OK, "%s", e.message);
    ck_assert_int_eq(sl_engine_submit(engine, r, &e), SL_OK);
    return r;
}

typedef struct heard {
    int32_t token[TOKENS];
    int count, finish, stop_at; /* stop_at: interrupts after so many; 0: never */
    int ahead;                  /* how often the engine had more to say than was heard, at most */
} heard;

static void take(void *arg, sl_request *r, const sl_event *ev) {
    heard *h = arg;
    (void)r;
    if (ev->kind == SL_EVENT_FINISH) {
        h->finish = ev->finish;
        return;
    }
    ck_assert_int_lt(h->count, TOKENS);
    h->token[h->count++] = ev->token;
    usleep(300); /* a slow reader */
    if (atomic_load(&told) - h->count > h->ahead) h->ahead = atomic_load(&told) - h->count;
    if (h->stop_at == h->count) sl_teller_interrupt(&t);
}

START_TEST(every_token_is_heard) {
    begin();
    heard first = {0}, second = {0};
    heard *const both[] = {&first, &second};
    for (int i = 0; i < 2; i++) {
        atomic_store(&told, 0);
        sl_request *r = submit();
        sl_teller_follow(&t, engine, r, take, both[i]);
        ck_assert(sl_request_over(r));
        ck_assert_int_eq(both[i]->count, TOKENS);
        ck_assert_int_eq(both[i]->finish, SL_FINISH_LENGTH);
        ck_assert_int_le(both[i]->ahead, 2); /* who reads slowly is waited for */
        sl_request_free(r);
    }
    ck_assert_mem_eq(first.token, second.token, sizeof first.token);
    end();
}
END_TEST

START_TEST(an_interruption_ends_an_answer_and_no_other) {
    begin();
    sl_teller_interrupt(&t); /* while nothing was followed */
    sl_teller_interrupt(&t);
    sl_teller_forget(&t);
    for (int i = 0; i < 3; i++) {
        heard h = {.stop_at = i == 1 ? 5 : 0};
        sl_request *r = submit();
        sl_teller_follow(&t, engine, r, take, &h);
        if (i == 1) {
            ck_assert_int_ne(sl_request_finish(r), SL_FINISH_LENGTH);
            ck_assert_int_ge(h.count, 5);
            ck_assert_int_le(h.count, 8); /* within a step, and it is no more than two ahead */
        } else {
            ck_assert_int_eq(h.count, TOKENS);
        }
        sl_request_free(r);
    }
    sl_request *r = submit();
    sl_teller_interrupt(&t); /* before it is followed */
    heard h = {0};
    sl_teller_follow(&t, engine, r, take, &h);
    ck_assert_int_lt(h.count, TOKENS);
    sl_request_free(r);
    end();
}
END_TEST

START_TEST(the_settings_are_the_specs) {
    sl_settings given = {.temperature = 0.5, .top_p = 0.25, .min_p = 0.125, .top_k = 7, .seed = -1};
    sl_request_spec spec = sl_teller_spec(&given);
    ck_assert(spec.n == 1 && spec.prompts == 1 && spec.stream && spec.skip_special);
    ck_assert(spec.sampling.temperature == 0.5f && spec.sampling.top_p == 0.25f && spec.sampling.min_p == 0.125f && spec.sampling.top_k == 7);
    ck_assert(spec.sampling.seed == UINT64_MAX && spec.sampling.logprobs == -1 && spec.prompt_logprobs == -1);
}
END_TEST

typedef struct pipe_reader {
    int fd;
    size_t got;
    bool same;
} pipe_reader;

static void *read_all(void *arg) {
    pipe_reader *p = arg;
    char part[4096];
    p->same = true;
    for (ssize_t n; (n = read(p->fd, part, sizeof part)) > 0; p->got += (size_t)n)
        for (ssize_t i = 0; i < n; i++) p->same = p->same && part[i] == (char)((p->got + (size_t)i) % 251);
    return NULL;
}

/* More than a pipe holds, whose writing end does not wait. */
START_TEST(output_is_whole_in_any_mode) {
    enum { SIZE = 300000 };
    static char text[SIZE];
    int ends[2], out = dup(STDOUT_FILENO);
    pthread_t thread;
    for (size_t i = 0; i < SIZE; i++) text[i] = (char)(i % 251);
    ck_assert(out >= 0 && pipe(ends) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0 && dup2(ends[1], STDOUT_FILENO) >= 0);
    close(ends[1]);
    pipe_reader p = {.fd = ends[0]};
    ck_assert_int_eq(pthread_create(&thread, NULL, read_all, &p), 0);
    int error = sl_put_out(text, SIZE);
    dup2(out, STDOUT_FILENO);
    close(out);
    pthread_join(thread, NULL);
    close(ends[0]);
    ck_assert_int_eq(error, 0);
    ck_assert_uint_eq(p.got, SIZE);
    ck_assert(p.same);
}
END_TEST

int main(void) {
    return RUN_TESTS("teller", 60, every_token_is_heard, an_interruption_ends_an_answer_and_no_other, the_settings_are_the_specs,
                     output_is_whole_in_any_mode);
}

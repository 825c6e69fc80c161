#include "engine/internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/thread.h"
#include "forward/kv.h"
#include "forward/state.h"

#include <assert.h>
#include <string.h>

/* The engine thread's loop: take requests, drop cancelled ones, decide the step, run it, draw, hand out, wake.
 *
 * Both bookkeeping parts of a turn, before and after the forward pass, stand between sl_metrics_begin and _end: a scrape
 * sees all of each, or nothing of it.
 *
 * From a hang-up to the freed page: what happens, in which thread and file, when a client leaves in the middle of an answer.
 *
 *   loop    The connection is suspended while its exchange waits for tokens, so libmicrohttpd does not look at the socket.
 *           http/watch.c does: a uv_poll_t for UV_DISCONNECT. It calls sl__turn_gone (http/turn.c), which marks the exchange
 *           `gone` (nothing can be told to this client any more) and calls the hook of that name, once.
 *   loop    The hook is on_gone in api/completions.c. It marks the completion, so that nothing more is written into it, and
 *           calls sl_request_cancel(r, SL_CANCEL_CLIENT) (engine/request.c): one atomic word, the first reason stays; and a
 *           poke, so that an engine that sleeps in its mailbox wakes up. Nothing is freed yet: the engine still computes.
 *   engine  The step that is being computed is finished, rows of the gone client included. The next turn begins with
 *           drop_cancelled below: it finds the word and calls sl__request_drop (engine/output.c). For each open choice, leave
 *           takes the sequence out of the scheduler's list and gives its pages back (sl__sequence_release, sl__pages_drop in
 *           pages.c). A page that others hold too is free when the last of them has given it back, and a full one is kept
 *           for who comes with the same tokens, but can be taken at any time. So the pages are there for the step that this
 *           same turn decides: within one step of the hang-up, as Promise 3 wants it.
 *   engine  The last choice's end counts the request (sl__account_end), takes it off the engine's list and makes it news; at
 *           the end of the turn sl__news_publish (news.c) marks its entry as the last one. From then on the engine does
 *           not touch the request.
 *   loop    config.wake was sl_api_wake: a uv_async_t. sl__completions_news takes the ready list; the request is now `over`.
 *           http meanwhile ends the exchange and calls its last hook, named over too. When both are, and the text thread does
 *           not hold the completion, retire in api/completions.c writes the log line and frees it, and with it the request.
 *
 * A time limit and the end of a drain go the same way from sl_request_cancel on, with reasons of their own. A client that
 * left while its request was in the mailbox or in the queue has no pages; its request is dropped in the same place. */

#define DEFAULT_STEP_ROWS 512
#define LEAST_LOGIT_ROWS 32
#define DEFAULT_REQUEST_MEMORY (UINT64_C(128) << 20)

/* --- a turn --- */

static void on_preempted(void *arg, sl__sequence *s) {
    sl_engine *g = arg;
    (void)s;
    g->count.preemptions++;
}

static void on_admitted(void *arg, sl__sequence *s) {
    sl_engine *g = arg;
    sl__account_enter(g, s->request, sl_clock_ns());
    sl__account_lookup(g, s);
}

static void on_reused(void *arg, sl__sequence *s, int tokens) { sl__account_reused(arg, s, tokens); }

static int cancel_reason(const sl_request *r, int why) {
    if (why == SL_CANCEL_SHUTDOWN) return SL_FINISH_SHUTDOWN;
    bool late = why == SL_CANCEL_TIMEOUT;
    if (!r->started) return late ? SL_FINISH_TIMEOUT_QUEUE : SL_FINISH_CANCELLED_QUEUE;
    if (!r->first_token) return late ? SL_FINISH_TIMEOUT_PREFILL : SL_FINISH_CANCELLED_PREFILL;
    return late ? SL_FINISH_TIMEOUT_DECODE : SL_FINISH_CANCELLED_DECODE;
}

static void drop_cancelled(sl_engine *g, bool all) {
    for (sl_request *r = g->requests, *next; r; r = next) {
        next = r->next;
        int why = atomic_load(&r->cancelled);
        if (!why && all) why = SL_CANCEL_SHUTDOWN;
        if (why) sl__request_drop(g, r, cancel_reason(r, why));
    }
}

/* Once a request, when the first choice begins to compute: does it go on otherwise than what is known? */
static void compare(const sl_engine *g, const sl__sequence *s) {
    sl_request *r = s->request;
    if (r->compared || s->choice > 0) return;
    r->compared = true;
    if (s->looked_up) atomic_store(&r->differs_at, sl__sequence_differs_at(s, &g->pages));
}

/* Rows and draws of the step that the scheduler decided. */
static void build(sl_engine *g) {
    g->rows = g->sequences = g->draws = 0;
    int logit = 0;
    for (sl__sequence *s = g->scheduler.batch.first; s; s = s->next) {
        if (s->rows == 0) continue;
        compare(g, s);
        int total = sl__sequence_tokens(s);
        for (int p = s->computed; p < s->computed + s->rows; p++) {
            bool score = p + 1 < s->prompt_len && p + 1 >= s->scored;
            bool draws = p + 1 == total && s->request->max_tokens > 0;
            g->row[g->rows++] = (sl_step_row){sl__sequence_token(s, p), p, g->sequences, score || draws};
            if (score || draws) g->draw[g->draws++] = (sl__draw){.sequence = s, .position = p, .logit = logit++, .score = score};
        }
        sl__sequence_plan_saves(s, &g->pages);
        g->pages_of[g->sequences] = (sl_step_sequence){.page = s->page, .window = s->window, .state_before = s->read >= 0 ? s->read : s->slot,
                                                       .state_after = s->slot, .save = s->save, .saves = s->saves};
        g->in_step[g->sequences++] = s;
    }
    assert(g->rows <= g->max_rows && g->draws <= g->max_logit_rows);
}

/* A weight file was cut short or cannot be read any more: what was computed since may come from zeros. Whatever is in hand ends
 * with an error, and nothing new is taken. */
static void give_up(sl_engine *g) {
    atomic_store(&g->draining, true);
    for (sl_request *r = g->requests, *next; r; r = next) {
        next = r->next;
        sl__request_failed(r, "the model's file cannot be read any more: what was computed is not to be trusted");
        sl__request_drop(g, r, SL_FINISH_ERROR);
    }
}

static void run_step(sl_engine *g) {
    uint64_t began = sl_clock_ns();
    sl_step step = {.row = g->row, .rows = g->rows, .sequence = g->pages_of, .sequences = g->sequences};
    g->logits = sl_forward_run(g->forward, &step);
    sl__output_draws(g);
    double seconds = (double)(sl_clock_ns() - began) / (double)SL_SECOND;
    sl__scheduler_learn(&g->scheduler, seconds);
    sl_metrics_begin(g->config.metrics);
    if (sl_map_damaged()) give_up(g); /* the step is thrown away */
    else sl__output_accept(g);
    sl__account_step(g, seconds);
    sl_expert_stats_fold(g->stats);
    sl_metrics_end(g->config.metrics);
}

static void take_mail(sl_engine *g, bool idle) {
    sl_mail *m = idle ? sl_mailbox_wait(g->inbox, UINT64_MAX) : sl_mailbox_take(g->inbox);
    for (sl_mail *next; m; m = next) {
        next = m->next;
        sl__request_take(g, (sl_request *)(void *)m);
    }
}

static void *engine_main(void *arg) {
    sl_engine *g = arg;
    pthread_setname_np(pthread_self(), "sl-engine");
    sl_thread_is(SL_THREAD_ENGINE);
    sl_thread_nicer(g->config.worker_nice);
    const sl__scheduler_events tell = {on_preempted, on_admitted, on_reused, g};
    for (bool stop = false; !stop;) {
        bool idle = !g->requests;
        if (idle) atomic_store(&g->busy_since, 0);
        take_mail(g, idle);
        if (idle) atomic_store(&g->busy_since, sl_clock_ns());
        stop = atomic_load(&g->stop);
        sl_metrics_begin(g->config.metrics);
        drop_cancelled(g, stop);
        if (sl_map_damaged()) give_up(g);
        int rows = sl__scheduler_step(&g->scheduler, &g->pages, &tell);
        sl__account_wait(g, sl_clock_ns());
        build(g);
        assert(rows == g->rows);
        (void)rows;
        if (!g->rows) sl__account_step(g, 0);
        sl_metrics_end(g->config.metrics);
        if (g->rows) run_step(g);
        sl__news_publish(g);
    }
    return NULL;
}

/* --- from the other thread --- */

bool sl_engine_full(const sl_engine *g, int more) {
    int places = g->config.max_sequences - atomic_load(&g->batched);
    return atomic_load(&g->waiting) + more >= g->config.queue + (places > 0 ? places : 0);
}

sl_status sl_engine_submit(sl_engine *g, sl_request *r, sl_error *e) {
    SL_ON_THREAD(LOOP);
    const sl_engine_config *c = &g->config;
    if (atomic_load(&g->draining)) {
        sl_metrics_add(c->metrics, SL_METRIC_REJECTED, SL_REJECT_DRAINING, 1);
        return sl_fail(e, SL_CANCELLED, "the server is draining; try another one");
    }
    if (sl_engine_full(g, 0)) {
        sl_metrics_add(c->metrics, SL_METRIC_REJECTED, SL_REJECT_QUEUE_FULL, 1);
        return sl_fail(e, SL_FULL, "the queue is full: %d requests are waiting", sl_engine_waiting(g));
    }
    if (!r->arrived) r->arrived = sl_clock_ns();
    atomic_fetch_add(&g->waiting, 1);
    atomic_fetch_add(&g->live, 1);
    if (sl_mailbox_put(g->inbox, &r->mail) == SL_OK) return SL_OK;
    atomic_fetch_sub(&g->waiting, 1);
    atomic_fetch_sub(&g->live, 1);
    return sl_fail(e, SL_CANCELLED, "the engine has stopped");
}

void sl_engine_drain(sl_engine *g) { atomic_store(&g->draining, true); }

const sl_engine_config *sl_engine_config_of(const sl_engine *g) { return &g->config; }

sl_expert_totals sl_engine_expert(const sl_engine *g, int layer, int expert) {
    assert(sl_engine_live(g) == 0);
    return sl_expert_stats_get(g->stats, layer, expert);
}

uint64_t sl_engine_stuck_ns(const sl_engine *engine) {
    sl_engine *g = (sl_engine *)(uintptr_t)engine;
    uint64_t progress = sl_workers_progress(g->workers), now = sl_clock_ns(), since = atomic_load(&g->busy_since);
    if (!since || progress != atomic_load(&g->seen_progress)) {
        atomic_store(&g->seen_progress, progress);
        atomic_store(&g->seen_at, now);
        return 0;
    }
    uint64_t seen = atomic_load(&g->seen_at);
    if (seen > since) since = seen;
    return now > since ? now - since : 0;
}

/* --- start and end --- */

static int step_rows(const sl_engine_config *c) {
    int rows = c->max_step_rows > 0 ? c->max_step_rows : DEFAULT_STEP_ROWS;
    return rows < c->max_sequences + SL__LEAST_CHUNK ? c->max_sequences + SL__LEAST_CHUNK : rows;
}

static uint64_t request_memory(const sl_engine_config *c) { return c->request_memory ? c->request_memory : DEFAULT_REQUEST_MEMORY; }

sl_engine_window_pages sl_engine_window_pages_for(const sl_engine_config *c) {
    const sl_hparams *hp = &c->model->hp;
    int64_t all = (int64_t)c->max_sequences * ((c->ctx + SL_PAGE - 1) / SL_PAGE);
    int least = sl_kv_window_pages(sl_kv_window_of(hp, c->ctx), c->ctx, SL__LEAST_CHUNK);
    int64_t running = (int64_t)c->max_sequences * least + step_rows(c) / SL_PAGE;
    if (!least) return (sl_engine_window_pages){0};
    if (running > all) running = all;
    return (sl_engine_window_pages){.least = least, .running = running > INT32_MAX ? INT32_MAX : (int)running};
}

static int window_pages_of(const sl_engine_config *c) { return sl_kv_window_of(&c->model->hp, c->ctx).positions ? c->kv_window_pages : 0; }

/* Slots of state; 0: the model keeps none. */
static int states_of(const sl_engine_config *c) { return sl_state_bytes(&c->model->hp) ? c->states : 0; }

static sl_forward_config forward_config(const sl_engine_config *c) {
    int rows = step_rows(c), logits = c->max_sequences < LEAST_LOGIT_ROWS ? LEAST_LOGIT_ROWS : c->max_sequences + SL__LEAST_CHUNK;
    return (sl_forward_config){.model = c->model,
                               .threads = c->threads,
                               .max_rows = rows,
                               .max_logit_rows = logits < rows ? logits : rows,
                               .max_sequences = c->max_sequences,
                               .ctx = c->ctx,
                               .kv_type = c->kv_type,
                               .kv_pages = c->kv_pages,
                               .kv_window_pages = window_pages_of(c),
                               .states = c->states};
}

/* The most text that an event can show. */
static size_t text_bytes(const sl_engine_config *c) { return SL_MAX_STOP_BYTES + 8 * sl_tokenizer_longest(c->tokenizer) + 64; }

sl_engine_plan sl_engine_plan_for(const sl_engine_config *c) {
    sl_forward_config f = forward_config(c);
    const sl_hparams *hp = &c->model->hp;
    int slots = states_of(c), windows = window_pages_of(c);
    sl_kv_page_sizes kv = sl_kv_page_sizes_of(hp, c->kv_type, c->ctx, windows > 0);
    uint64_t scratch = (uint64_t)sl_sample_scratch(c->model->hp.vocab) * (uint64_t)c->threads;
    uint64_t tables = (uint64_t)sl__pages_bytes(c->kv_pages) + sl__attached_bytes(slots, c->kv_pages) +
                      (uint64_t)sl__attached_bytes(windows, c->kv_pages) + (uint64_t)f.max_rows * sizeof(sl_step_row) +
                      (uint64_t)f.max_logit_rows * sizeof(sl__draw) +
                      (uint64_t)c->max_sequences * (sizeof(sl_step_sequence) + sizeof(sl__sequence *)) +
                      (uint64_t)c->model->hp.vocab * sizeof(int32_t) + (c->tokenizer ? 2 * text_bytes(c) : 0) + ((uint64_t)128 << 10);
    tables += sl_expert_stats_bytes(c->model->hp.layers, c->model->hp.experts, c->threads);
    return (sl_engine_plan){.kv_bytes = (uint64_t)kv.page * (uint64_t)c->kv_pages + (uint64_t)kv.window_page * (uint64_t)windows,
                            .state_bytes = (uint64_t)sl_state_bytes(&c->model->hp) * (uint64_t)slots,
                            .workspace_bytes = sl_forward_workspace_bytes(&f) + scratch,
                            .sequence_bytes = tables,
                            .request_bytes = request_memory(c)};
}

static bool list_tokens(sl_engine *g) {
    const sl_tokenizer *t = g->config.tokenizer;
    int count = sl_tokenizer_count(t), rows = g->config.model->hp.vocab, known = count < rows ? count : rows;
    g->hidden_count = rows - known;
    g->hidden = sl_arena_array(g->arena, SL_MEM_SEQUENCES, (size_t)g->hidden_count + 1, sizeof *g->hidden);
    for (int i = 0; i < known; i++) g->end_count += sl_tokenizer_ends(t, i);
    g->ends = sl_arena_array(g->arena, SL_MEM_SEQUENCES, (size_t)g->end_count + 1, sizeof *g->ends);
    if (!g->hidden || !g->ends) return false;
    for (int i = 0; i < g->hidden_count; i++) g->hidden[i] = known + i;
    for (int i = 0, n = 0; i < known; i++)
        if (sl_tokenizer_ends(t, i)) g->ends[n++] = i;
    return true;
}

static bool make_tables(sl_engine *g) {
    const sl_engine_config *c = &g->config;
    sl__scheduler *k = &g->scheduler;
    size_t sequences = (size_t)c->max_sequences;
    g->row = sl_arena_array(g->arena, SL_MEM_SEQUENCES, (size_t)g->max_rows, sizeof *g->row);
    g->pages_of = sl_arena_array(g->arena, SL_MEM_SEQUENCES, sequences, sizeof *g->pages_of);
    g->in_step = sl_arena_array(g->arena, SL_MEM_SEQUENCES, sequences, sizeof *g->in_step);
    g->draw = sl_arena_array(g->arena, SL_MEM_SEQUENCES, (size_t)g->max_logit_rows, sizeof *g->draw);
    g->scratch_bytes = sl_sample_scratch(c->model->hp.vocab);
    g->scratch = sl_arena_array(g->arena, SL_MEM_WORKSPACE, (size_t)c->threads, g->scratch_bytes);
    sl__shape shape = sl__shape_of(c->model, c->ctx);
    sl__cost_init(&k->cost, &shape);
    k->max_sequences = c->max_sequences;
    k->max_rows = g->max_rows;
    k->max_logit_rows = g->max_logit_rows;
    k->target = c->token_gap_ms / 1000.0;
    return g->row && g->pages_of && g->in_step && g->draw && g->scratch &&
           sl_buffer_reserve(&g->text, text_bytes(c)) && list_tokens(g);
}

static sl_status start_thread(sl_engine *g, sl_error *e) {
    if (!sl_thread_start(&g->thread, engine_main, g)) return sl_fail(e, SL_IO, "no thread for the engine could be started");
    g->runs = true;
    return SL_OK;
}

sl_status sl_engine_new(const sl_engine_config *c, sl_engine **ret, sl_error *e) {
    if (c->max_sequences < 1 || c->kv_pages < 1 || c->ctx < 1 || c->threads < 1 || c->queue < 0)
        return sl_fail(e, SL_INVALID, "engine: sequences, pages, context and threads must be positive");
    if (window_pages_of(c) < sl_engine_window_pages_for(c).least)
        return sl_fail(e, SL_INVALID, "engine: %d window pages are too few for one sequence, which needs %d", c->kv_window_pages,
                       sl_engine_window_pages_for(c).least);
    sl_engine *g = sl_calloc(1, sizeof *g);
    if (!g) return sl_fail(e, SL_NOMEM, "no memory for the engine");
    g->config = *c;
    g->config.request_memory = request_memory(c);
    sl_forward_config f = forward_config(c);
    g->max_rows = f.max_rows;
    g->max_logit_rows = f.max_logit_rows;
    sl_status st = SL_OK;
    g->arena = sl_arena_new();
    g->inbox = sl_mailbox_new(0, NULL, NULL);
    if (!g->arena || !g->inbox || !make_tables(g)) {
        st = sl_fail(e, SL_NOMEM, "no memory for the engine");
        goto fail;
    }
    if ((st = sl__pages_init(&g->pages, c->kv_pages, c->prefix_cache, g->arena, e)) ||
        (st = sl__pages_windows(&g->pages, window_pages_of(c), &c->model->hp, c->ctx, g->arena, e)) ||
        (st = sl__attached_init(&g->pages.states, states_of(c), c->kv_pages, "states", g->arena, e)) ||
        (st = sl_workers_new(c->threads, c->worker_nice, &g->workers, e)) ||
        (st = sl_expert_stats_new(c->model->hp.layers, c->model->hp.experts, c->threads, c->metrics, &g->stats, e)))
        goto fail;
    f.workers = g->workers;
    f.stats = c->model->hp.experts ? g->stats : NULL;
    if ((st = sl_forward_new(&f, &g->forward, e)) || (st = start_thread(g, e))) goto fail;
    *ret = g;
    return SL_OK;
fail:
    sl_engine_free(g);
    return st;
}

sl_engine *sl_engine_free(sl_engine *g) {
    if (!g) return NULL;
    if (g->runs) {
        atomic_store(&g->draining, true);
        atomic_store(&g->stop, true);
        sl_mailbox_poke(g->inbox);
        pthread_join(g->thread, NULL);
    }
    sl_forward_free(g->forward);
    sl_expert_stats_free(g->stats);
    sl_workers_free(g->workers);
    if (g->inbox) sl_mailbox_free(g->inbox);
    sl_buffer_done(&g->text);
    sl_arena_free(g->arena);
    sl_free(g);
    return NULL;
}

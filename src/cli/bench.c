#include "cli/cli.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "cli/limits.h"
#include "cli/load.h"
#include "cli/plan.h"
#include "forward/forward.h"
#include "forward/kv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `sluice bench`: prefill, and decode at batch 1, 2, 4 … 32, beside what this machine can do at best.
 *
 * Every sequence gets its own random tokens in every step, so that the batch touches as many experts as different clients
 * do (the same token in every sequence would touch a few). A step can not be faster than
 *     max(bytes of the weights, experts really touched, keys and values / read speed,  multiply-adds / multiply speed)
 * with both speeds measured before each row; `of limit` is that time over the median step's. A prompt longer than CHUNK
 * goes in several steps, each of which reads the weights. */

enum { BATCHES = 6, PREFILLS = 3, MOST_BATCH = 32, CONTEXT = 32, STEPS = 12, CHUNK = 512 };

typedef struct result {
    const char *phase;
    int batch, context;
    double seconds;      /* median step */
    double rows;         /* of a step */
    double touched;      /* experts a routed layer and step */
    double bytes;        /* a step must read */
    double multiplies;   /* a step must do */
    double read, speed;  /* measured limits */
    double limit;        /* seconds at best */
} result;

typedef struct bench {
    const sl_settings *s;
    const sl_model *m;
    sl_workers *workers;
    sl_expert_stats *stats;
    sl_forward *f;
    sl_cost cost;
    sl_kv_type kv_type;
    int routed_layers;
    int32_t *page;             /* [MOST_BATCH][pages_each] */
    int pages_each;
    sl_step_row row[CHUNK];
    sl_step_sequence sequence[MOST_BATCH];
    uint64_t random;
} bench;

/* xorshift64*: any tokens do, as long as they differ. */
static int32_t random_token(bench *b) {
    b->random ^= b->random >> 12;
    b->random ^= b->random << 25;
    b->random ^= b->random >> 27;
    return (int32_t)((b->random * UINT64_C(2685821657736338717) >> 33) % (uint64_t)b->m->hp.vocab);
}

static double groups(const bench *b) {
    double sum = 0;
    for (int l = 0; l < b->m->hp.layers; l++)
        for (int e = 0; b->m->layer[l].experts && e < b->m->hp.experts; e++)
            sum += (double)sl_expert_stats_get(b->stats, l, e).groups;
    return sum;
}

/* `count` rows of random tokens for each of `sequences` sequences from position `from`; seconds it took. */
static double step(bench *b, int sequences, int from, int count, bool logits) {
    int n = 0;
    for (int s = 0; s < sequences; s++)
        for (int i = 0; i < count; i++)
            b->row[n++] = (sl_step_row){random_token(b), from + i, s, logits && i == count - 1};
    sl_step st = {.row = b->row, .rows = n, .sequence = b->sequence, .sequences = sequences};
    uint64_t began = sl_clock_ns();
    sl_forward_run(b->f, &st);
    double seconds = (double)(sl_clock_ns() - began) / 1e9;
    sl_expert_stats_fold(b->stats);
    return seconds;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void complete(const bench *b, result *r) {
    bool prefill = !strcmp(r->phase, "prefill");
    sl_kv_work seen = {0}; /* by all rows: a prompt's stand one after the other, decoding ones see the context */
    for (int i = 0; i < (int)r->rows; i++) {
        sl_kv_work row = sl_kv_work_of(&b->m->hp, b->kv_type, prefill ? i : r->context - 1);
        seen.bytes += row.bytes;
        seen.multiplies += row.multiplies;
    }
    double logit_rows = prefill ? 1 : r->rows;
    double steps = prefill ? (r->rows + CHUNK - 1) / CHUNK : 1;
    r->bytes = (double)(int)steps * (b->cost.dense_bytes + r->touched * b->routed_layers * b->cost.expert_bytes) +
               (prefill ? b->cost.kv_bytes * r->rows : seen.bytes) + /* a prompt's rows read what others have just read */
               2 * b->cost.state_bytes * (prefill ? (double)(int)steps : r->rows); /* read and written */
    r->multiplies = r->rows * b->cost.row_multiplies + logit_rows * b->cost.output_multiplies + seen.multiplies;
    double by_bytes = r->bytes / r->read, by_products = r->multiplies / r->speed;
    r->limit = by_bytes > by_products ? by_bytes : by_products;
}

static result decode(bench *b, int batch, int context) {
    result r = {.phase = "decode", .batch = batch, .context = context, .rows = batch};
    double seconds[STEPS], speed[2], read[2];
    for (int at = 0; at < context;) { /* keys and values of the context; their content does not matter for the time */
        int n = context - at < CHUNK / batch ? context - at : CHUNK / batch;
        step(b, batch, at, n, false);
        at += n;
    }
    read[0] = sl_limit_read(b->workers, b->m);
    speed[0] = sl_limit_multiply(b->workers);
    for (int i = 0; i < 2; i++) step(b, batch, context, 1, true);
    double before = groups(b);
    for (int i = 0; i < STEPS; i++) seconds[i] = step(b, batch, context, 1, true);
    r.touched = b->routed_layers ? (groups(b) - before) / STEPS / b->routed_layers : 0;
    read[1] = sl_limit_read(b->workers, b->m);
    speed[1] = sl_limit_multiply(b->workers);
    qsort(seconds, STEPS, sizeof seconds[0], by_size);
    r.seconds = (seconds[STEPS / 2 - 1] + seconds[STEPS / 2]) / 2;
    r.read = (read[0] + read[1]) / 2;
    r.speed = (speed[0] + speed[1]) / 2;
    complete(b, &r);
    return r;
}

static result prefill(bench *b, int tokens) {
    enum { TIMES = 3 };
    result r = {.phase = "prefill", .batch = 1, .rows = tokens};
    double seconds[TIMES];
    r.read = sl_limit_read(b->workers, b->m);
    r.speed = sl_limit_multiply(b->workers);
    double before = groups(b);
    int steps = (tokens + CHUNK - 1) / CHUNK;
    for (int i = 0; i < TIMES; i++) {
        seconds[i] = 0;
        for (int at = 0; at < tokens; at += CHUNK) {
            int n = tokens - at < CHUNK ? tokens - at : CHUNK;
            seconds[i] += step(b, 1, at, n, at + n == tokens);
        }
    }
    r.touched = b->routed_layers ? (groups(b) - before) / TIMES / steps / b->routed_layers : 0;
    qsort(seconds, TIMES, sizeof seconds[0], by_size);
    r.seconds = seconds[TIMES / 2];
    complete(b, &r);
    return r;
}

static void print_row(const bench *b, const result *r) {
    printf("%-8s %5d %8d %10.1f %9.2f %8.1f %9.0f %8.1f %8.0f %8.2f\n", r->phase, r->batch,
           r->context + (int)(!strcmp(r->phase, "prefill") ? r->rows : 0), r->rows / r->seconds, r->seconds * 1e3, r->touched,
           r->bytes / 1e6, r->read / 1e9, r->speed / 1e9, r->limit / r->seconds);
    (void)b;
    fflush(stdout);
}

static void print_json(const bench *b, const result *r, int count) {
    sl_buffer out = {0};
    sl_buffer_puts(&out, "{\"model\":");
    sl_buffer_json(&out, b->m->name, strlen(b->m->name));
    sl_buffer_printf(&out, ",\"type\":\"%s\",\"tier\":\"%s\",\"threads\":%d,\"rows\":[", b->m->type, sl_kernels()->tier,
                     sl_workers_count(b->workers));
    for (int i = 0; i < count; i++)
        sl_buffer_printf(&out,
                         "%s{\"phase\":\"%s\",\"batch\":%d,\"context\":%d,\"rows\":%.0f,\"seconds\":%.6f,"
                         "\"tokens_per_second\":%.3f,\"experts_touched\":%.3f,\"bytes\":%.0f,\"multiply_adds\":%.0f,"
                         "\"read_bytes_per_second\":%.0f,\"multiply_adds_per_second\":%.0f,\"of_limit\":%.4f}",
                         i ? "," : "", r[i].phase, r[i].batch, r[i].context, r[i].rows, r[i].seconds,
                         r[i].rows / r[i].seconds, r[i].touched, r[i].bytes, r[i].multiplies, r[i].read, r[i].speed,
                         r[i].limit / r[i].seconds);
    sl_buffer_puts(&out, "]}");
    printf("%s\n", sl_buffer_text(&out));
    sl_buffer_done(&out);
}

static void measure(bench *b) {
    static const int batches[BATCHES] = {1, 2, 4, 8, 16, 32}, prompts[PREFILLS] = {128, 512, 4096};
    result r[BATCHES + PREFILLS + 1];
    int count = 0, deep = b->pages_each * SL_PAGE * MOST_BATCH - 1;
    if (deep > 8192) deep = 8192;
    if (deep > sl_plan_positions(b->m) - 1) deep = sl_plan_positions(b->m) - 1;
    if (!b->s->json)
        printf("%-8s %5s %8s %10s %9s %8s %9s %8s %8s %8s\n", "phase", "batch", "context", "tokens/s", "ms/step", "experts",
               "MB/step", "GB/s", "GMAC/s", "of limit");
    step(b, 1, 0, CHUNK < sl_plan_positions(b->m) ? CHUNK : sl_plan_positions(b->m), true); /* maps what was never touched */
    sl_limit_read(b->workers, b->m);
    for (int i = 0; i < PREFILLS; i++) {
        if (prompts[i] > sl_plan_positions(b->m)) continue;
        r[count] = prefill(b, prompts[i]);
        if (!b->s->json) print_row(b, &r[count]);
        count++;
    }
    for (int i = 0; i < BATCHES; i++) {
        r[count] = decode(b, batches[i], CONTEXT);
        if (!b->s->json) print_row(b, &r[count]);
        count++;
    }
    if (deep > 4 * CONTEXT) { /* one long sequence in all pages */
        r[count] = decode(b, 1, deep);
        if (!b->s->json) print_row(b, &r[count]);
        count++;
    }
    if (b->s->json) print_json(b, r, count);
}

/* Half a second's work, for who measures something else in between (tests/bench/compare). */
static void print_limits(const bench *b) {
    sl_limit_read(b->workers, b->m); /* maps what was never touched */
    double read = sl_limit_read(b->workers, b->m), speed = sl_limit_multiply(b->workers);
    if (!b->s->json) {
        printf("%.1f GB/s, %.0f G multiply-adds/s\n", read / 1e9, speed / 1e9);
        return;
    }
    printf("{\"read_bytes_per_second\":%.0f,\"multiply_adds_per_second\":%.0f,\"tier\":\"%s\",\"threads\":%d,"
           "\"routed_layers\":%d,\"experts\":%d,\"experts_per_token\":%d,\"dense_bytes\":%.0f,\"expert_bytes\":%.0f,"
           "\"kv_bytes\":%.0f,\"state_bytes\":%.0f,\"row_multiply_adds\":%.0f,\"output_multiply_adds\":%.0f,\"kv_multiply_adds\":%.0f}\n",
           read, speed, sl_kernels()->tier, sl_workers_count(b->workers), b->routed_layers, b->m->hp.experts,
           b->m->hp.experts_used, b->cost.dense_bytes, b->cost.expert_bytes, b->cost.kv_bytes, b->cost.state_bytes, b->cost.row_multiplies,
           b->cost.output_multiplies, b->cost.kv_multiplies);
}

static sl_status open_bench(bench *b, sl_plan *plan, sl_settings *s, sl_error *e) {
    sl_status st = sl_plan_make(s, b->m, plan, e);
    if (st) return st;
    b->pages_each = CHUNK / SL_PAGE + 1;
    int pages = b->pages_each * MOST_BATCH;
    if ((st = sl_workers_new(s->engine.threads, s->engine.worker_nice, &b->workers, e))) return st;
    if ((st = sl_expert_stats_new(b->m->hp.layers, b->m->hp.experts, s->engine.threads, NULL, &b->stats, e))) return st;
    sl_forward_config c = {.model = b->m,
                           .workers = b->workers,
                           .threads = s->engine.threads,
                           .max_rows = CHUNK,
                           .max_logit_rows = MOST_BATCH,
                           .max_sequences = MOST_BATCH,
                           .ctx = pages * SL_PAGE,
                           .kv_type = s->engine.kv_type,
                           .kv_pages = pages,
                           .states = MOST_BATCH,
                           .stats = b->stats};
    if ((st = sl_forward_new(&c, &b->f, e))) return st;
    b->page = sl_calloc((size_t)pages, sizeof *b->page);
    if (!b->page) return sl_fail(e, SL_NOMEM, "out of memory");
    for (int i = 0; i < pages; i++) b->page[i] = i;
    for (int i = 0; i < MOST_BATCH; i++)
        b->sequence[i] = (sl_step_sequence){.page = b->page + i * b->pages_each, .state_before = i, .state_after = i};
    b->kv_type = s->engine.kv_type;
    b->cost = sl_cost_of(b->m, b->kv_type);
    for (int l = 0; l < b->m->hp.layers; l++) b->routed_layers += b->m->layer[l].experts != NULL;
    return SL_OK;
}

int sl_bench(sl_settings *s) {
    sl_error err;
    sl_model *m = NULL;
    sl_plan plan;
    bench *b = sl_calloc(1, sizeof *b);
    sl_status st = b ? sl_model_open(s->model, &m, &err) : sl_fail(&err, SL_NOMEM, "out of memory");
    if (!st) {
        sl_loaded_warn(&(sl_loaded){.model = m}, "bench");
        b->s = s;
        b->m = m;
        b->random = 88172645463325252u;
        s->engine.max_sequences = MOST_BATCH;
        st = open_bench(b, &plan, s, &err);
    }
    if (st) {
        fprintf(stderr, "sluice bench: %s\n", err.message);
    } else {
        sl_buffer lines = {0};
        sl_plan_print(s, m, &plan, &lines);
        if (!s->json && !s->limits) printf("%s\n", sl_buffer_text(&lines));
        sl_buffer_done(&lines);
        if (s->limits) print_limits(b);
        else measure(b);
    }
    if (b) {
        sl_forward_free(b->f);
        sl_expert_stats_free(b->stats);
        sl_workers_free(b->workers);
        sl_free(b->page);
        sl_free(b);
    }
    sl_model_close(m);
    return !st ? 0 : err.code == SL_MISUSE ? 2 : 1;
}

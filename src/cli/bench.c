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

/* `sluice bench`: prefill, and decode at several batch sizes, beside what this machine can do at best.
 *
 * Every sequence gets its own random tokens in every step, so that the batch touches as many experts as different clients
 * do (the same token in every sequence would touch a few). A step can not be faster than
 *     max(bytes of the weights, experts really touched, keys and values / read speed,  multiply-adds / multiply speed)
 * with both speeds measured before each row; `of limit` is that time over the median step's. A prompt longer than CHUNK
 * goes in several steps, each of which reads the weights. */

enum { USUAL_BATCH = 32, CONTEXT = 32, STEPS = 12, CHUNK = 512, PAGES_EACH = CHUNK / SL_PAGE + 1 };

_Static_assert((int)SL_BENCH_BATCH <= CHUNK, "a step has a row of each sequence");
_Static_assert(SL_BENCH_POSITIONS <= USUAL_BATCH * PAGES_EACH * SL_PAGE, "one sequence may have the pages of all");

/* What is measured in a row of the table, and what that asks of the machine whatever the implementation. A long prompt's steps
 * are added up. */
typedef struct row {
    bool prefill;
    int batch, context;  /* decode: sequences, and positions before each of them */
    int rows;            /* of all sequences */
    int steps;           /* each of them reads the weights */
    double bytes;        /* to be read besides experts */
    double multiplies;
} row;

typedef struct result {
    row of;
    double seconds;      /* median */
    double touched;      /* experts a routed layer and step */
    double read, speed;  /* measured limits */
    double bytes;        /* with the experts */
    double limit;        /* seconds at best */
} result;

enum { ROWS = 3 * SL_NUMBERS };

typedef struct bench {
    const sl_settings *s;
    const sl_model *m;
    sl_workers *workers;
    sl_expert_stats *stats;
    sl_forward *f;
    sl_cost cost;
    sl_kv_type kv_type;
    int routed_layers;
    int sequences;             /* room for so many */
    int32_t *page;             /* [sequences][PAGES_EACH] */
    sl_step_row row[CHUNK];
    sl_step_sequence sequence[SL_BENCH_BATCH];
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

static row row_of(const bench *b, bool prefill, int batch, int context, int rows) {
    row r = {.prefill = prefill, .batch = batch, .context = context, .rows = rows, .steps = prefill ? (rows + CHUNK - 1) / CHUNK : 1};
    sl_kv_work seen = {0}; /* by all rows: a prompt's stand one after the other, decoding ones see the context */
    for (int i = 0; i < rows; i++) {
        sl_kv_work one = sl_kv_work_of(&b->m->hp, b->kv_type, prefill ? i : context - 1);
        seen.bytes += one.bytes;
        seen.multiplies += one.multiplies;
    }
    r.bytes = r.steps * b->cost.dense_bytes +
              (prefill ? b->cost.kv_bytes * rows : seen.bytes) +           /* a prompt's rows read what others have just read */
              2 * b->cost.state_bytes * (prefill ? r.steps : rows);        /* read and written */
    r.multiplies = rows * b->cost.row_multiplies + (prefill ? 1 : rows) * b->cost.output_multiplies + seen.multiplies;
    return r;
}

/* Experts that the rows of one step touch in a layer, if each row's are any of them. */
static double expected_experts(const bench *b, const row *r) {
    double left = 1, used = b->m->hp.experts ? (double)b->m->hp.experts_used / b->m->hp.experts : 0;
    for (int i = 0; i < r->rows && i < CHUNK; i++) left *= 1 - used;
    return b->m->hp.experts * (1 - left);
}

/* From what was measured to what could have been. */
static void complete(const bench *b, result *r) {
    r->bytes = r->of.bytes + r->of.steps * r->touched * b->routed_layers * b->cost.expert_bytes;
    double by_bytes = r->bytes / r->read, by_products = r->of.multiplies / r->speed;
    r->limit = by_bytes > by_products ? by_bytes : by_products;
}

static result decode(bench *b, const row *of) {
    result r = {.of = *of};
    int batch = of->batch, context = of->context;
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
    return r;
}

static result prefill(bench *b, const row *of) {
    enum { TIMES = 3 };
    result r = {.of = *of};
    double seconds[TIMES];
    r.read = sl_limit_read(b->workers, b->m);
    r.speed = sl_limit_multiply(b->workers);
    double before = groups(b);
    for (int i = 0; i < TIMES; i++) {
        seconds[i] = 0;
        for (int at = 0; at < of->rows; at += CHUNK) {
            int n = of->rows - at < CHUNK ? of->rows - at : CHUNK;
            seconds[i] += step(b, 1, at, n, at + n == of->rows);
        }
    }
    r.touched = b->routed_layers ? (groups(b) - before) / TIMES / of->steps / b->routed_layers : 0;
    qsort(seconds, TIMES, sizeof seconds[0], by_size);
    r.seconds = seconds[TIMES / 2];
    return r;
}

static const char *phase(const row *r) { return r->prefill ? "prefill" : "decode"; }

static void print_heading(bool limits) {
    printf("%-8s %5s %8s %10s %9s %8s %9s %8s %8s%s\n", "phase", "batch", "context", "tokens/s", "ms/step", "experts", "MB/step", "GB/s",
           "GMAC/s", limits ? "" : " of limit");
}

/* With seconds 0, which is what nobody measured, the limit itself. */
static void print_row(const result *r) {
    double seconds = r->seconds > 0 ? r->seconds : r->limit;
    printf("%-8s %5d %8d %10.1f %9.2f %8.1f %9.0f %8.1f %8.0f", phase(&r->of), r->of.batch,
           r->of.prefill ? r->of.rows : r->of.context, r->of.rows / seconds, seconds * 1e3, r->touched, r->bytes / 1e6, r->read / 1e9,
           r->speed / 1e9);
    if (r->seconds > 0) printf(" %8.2f", r->limit / r->seconds);
    printf("\n");
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
                         "%s{\"phase\":\"%s\",\"batch\":%d,\"context\":%d,\"rows\":%d,\"seconds\":%.6f,"
                         "\"tokens_per_second\":%.3f,\"experts_touched\":%.3f,\"bytes\":%.0f,\"multiply_adds\":%.0f,"
                         "\"read_bytes_per_second\":%.0f,\"multiply_adds_per_second\":%.0f,\"of_limit\":%.4f}",
                         i ? "," : "", phase(&r[i].of), r[i].of.batch, r[i].of.context, r[i].of.rows, r[i].seconds,
                         r[i].of.rows / r[i].seconds, r[i].touched, r[i].bytes, r[i].of.multiplies, r[i].read, r[i].speed,
                         r[i].limit / r[i].seconds);
    sl_buffer_puts(&out, "]}");
    printf("%s\n", sl_buffer_text(&out));
    sl_buffer_done(&out);
}

/* The rows that were asked for, or the usual ones, in `ret` [ROWS]; how many. The usual ones that the model is too short for are
 * left out in silence, others with a warning. */
static int rows_asked_for(const bench *b, row *ret) {
    static const sl_numbers prompts = {3, {128, 512, 4096}}, batches = {6, {1, 2, 4, 8, 16, 32}};
    const sl_numbers *prompt = &b->s->prompts, *batch = &b->s->batches, *behind = &b->s->behind;
    bool usual = prompt->count + batch->count + behind->count == 0;
    int most = sl_plan_positions(b->m), count = 0;
    sl_numbers deep = {1, {most - 1 < 8191 ? most - 1 : 8191}}; /* one long sequence in all pages */
    if (usual) prompt = &prompts, batch = &batches, behind = &deep;
    for (int i = 0; i < prompt->count; i++) {
        if (prompt->value[i] <= most) ret[count++] = row_of(b, true, 1, 0, prompt->value[i]);
        else if (!usual) fprintf(stderr, "sluice bench: no prompt of %d tokens: the model has %d positions\n", prompt->value[i], most);
    }
    for (int i = 0; i < batch->count; i++) ret[count++] = row_of(b, false, batch->value[i], CONTEXT < most ? CONTEXT : most - 1, batch->value[i]);
    for (int i = 0; i < behind->count; i++) {
        if (behind->value[i] < most && (!usual || behind->value[i] > 4 * CONTEXT)) ret[count++] = row_of(b, false, 1, behind->value[i], 1);
        else if (!usual) fprintf(stderr, "sluice bench: nothing stands behind %d positions: the model has %d\n", behind->value[i], most);
    }
    return count;
}

static void measure(bench *b) {
    row asked[ROWS];
    result r[ROWS];
    int count = rows_asked_for(b, asked);
    if (!b->s->json) print_heading(false);
    step(b, 1, 0, CHUNK < sl_plan_positions(b->m) ? CHUNK : sl_plan_positions(b->m), true); /* maps what was never touched */
    sl_limit_read(b->workers, b->m);
    for (int i = 0; i < count; i++) {
        r[i] = asked[i].prefill ? prefill(b, &asked[i]) : decode(b, &asked[i]);
        complete(b, &r[i]);
        if (!b->s->json) print_row(&r[i]);
    }
    if (b->s->json) print_json(b, r, count);
}

/* The limits, and what they allow for each row. With experts by expectation, as nothing runs; who knows better (tests/bench/compare
 * counts those that were touched) has the bytes of one. Half a second's work. */
static void print_limits(const bench *b) {
    row asked[ROWS];
    int count = rows_asked_for(b, asked);
    sl_limit_read(b->workers, b->m); /* maps what was never touched */
    double read = sl_limit_read(b->workers, b->m), speed = sl_limit_multiply(b->workers);
    if (b->s->json)
        printf("{\"read_bytes_per_second\":%.0f,\"multiply_adds_per_second\":%.0f,\"tier\":\"%s\",\"threads\":%d,"
               "\"routed_layers\":%d,\"expert_bytes\":%.0f,\"rows\":[",
               read, speed, sl_kernels()->tier, sl_workers_count(b->workers), b->routed_layers, b->cost.expert_bytes);
    else printf("%.1f GB/s, %.0f G multiply-adds/s; at best, if every expert is as likely:\n", read / 1e9, speed / 1e9), print_heading(true);
    for (int i = 0; i < count; i++) {
        result r = {.of = asked[i], .touched = expected_experts(b, &asked[i]), .read = read, .speed = speed};
        complete(b, &r);
        if (!b->s->json) print_row(&r);
        else
            printf("%s{\"phase\":\"%s\",\"batch\":%d,\"context\":%d,\"rows\":%d,\"steps\":%d,\"experts\":%.3f,"
                   "\"bytes_without_experts\":%.0f,\"multiply_adds\":%.0f}",
                   i ? "," : "", phase(&r.of), r.of.batch, r.of.context, r.of.rows, r.of.steps, r.touched, r.of.bytes, r.of.multiplies);
    }
    if (b->s->json) printf("]}\n");
}

static sl_status open_bench(bench *b, sl_plan *plan, sl_settings *s, sl_error *e) {
    sl_status st = sl_plan_make(s, b->m, plan, e);
    if (st) return st;
    int pages = PAGES_EACH * b->sequences;
    if ((st = sl_workers_new(s->engine.threads, s->engine.worker_nice, &b->workers, e))) return st;
    if ((st = sl_expert_stats_new(b->m->hp.layers, b->m->hp.experts, s->engine.threads, NULL, &b->stats, e))) return st;
    sl_forward_config c = {.model = b->m,
                           .workers = b->workers,
                           .threads = s->engine.threads,
                           .max_rows = CHUNK,
                           .max_logit_rows = b->sequences,
                           .max_sequences = b->sequences,
                           .ctx = pages * SL_PAGE,
                           .kv_type = s->engine.kv_type,
                           .kv_pages = pages,
                           .states = b->sequences,
                           .stats = b->stats};
    if ((st = sl_forward_new(&c, &b->f, e))) return st;
    b->page = sl_calloc((size_t)pages, sizeof *b->page);
    if (!b->page) return sl_fail(e, SL_NOMEM, "out of memory");
    for (int i = 0; i < pages; i++) b->page[i] = i;
    for (int i = 0; i < b->sequences; i++)
        b->sequence[i] = (sl_step_sequence){.page = b->page + i * PAGES_EACH, .state_before = i, .state_after = i};
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
        b->sequences = USUAL_BATCH; /* a long prompt uses the pages of all */
        for (int i = 0; i < s->batches.count; i++)
            if (s->batches.value[i] > b->sequences) b->sequences = s->batches.value[i];
        s->engine.max_sequences = b->sequences;
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

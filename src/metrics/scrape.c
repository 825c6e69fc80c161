/* scrape.c: a copy of the cells as Prometheus text 0.0.4, a piece at a time. Loop thread only. */
#include "metrics/internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lines of a piece: a line costs 0.1 to 2 us (a number that needs 17 digits). */
#define PIECE_LINES 150

struct sl_scrape {
    const sl_metrics *m;
    sl_scrape_page page;
    int metric, slot; /* what comes next */
    double cells[];   /* the copy: all of them, or all but the per-expert block */
};

static bool on_page(const sl_metrics *m, sl_scrape_page page, int id) {
    sl__labels labels = sl__metric_list[id].labels;
    if (m->slots[id] == 0) return false;
    if (page == SL_SCRAPE_EXPERTS)
        return labels == SL__LABELS_LAYER_EXPERT || labels == SL__LABELS_LAYER || id == SL_METRIC_STEP_ROWS_TOTAL;
    return labels != SL__LABELS_LAYER_EXPERT || m->experts_in_metrics;
}

/* What the system knows; process_* are at most a second old, because counting open files takes a while. */
static void read_system(sl_metrics *m, double *cells) {
    uint64_t now = sl_clock_ns();
    if (m->usage_at == 0 || now - m->usage_at > SL_SECOND) {
        sl_process_usage_read(&m->usage);
        m->usage_at = now;
    }
    const sl_process_usage *u = &m->usage;
    cells[m->first[SL_METRIC_LOG_DROPPED]] = (double)sl_log_dropped();
    cells[m->first[SL_METRIC_THROTTLED]] = u->throttled_seconds;
    cells[m->first[SL_METRIC_PROCESS_CPU]] = u->cpu_seconds;
    cells[m->first[SL_METRIC_PROCESS_RESIDENT]] = (double)u->resident_bytes;
    cells[m->first[SL_METRIC_PROCESS_VIRTUAL]] = (double)u->virtual_bytes;
    cells[m->first[SL_METRIC_PROCESS_FDS]] = (double)u->open_fds;
    cells[m->first[SL_METRIC_PROCESS_MAX_FDS]] = (double)u->max_fds;
    cells[m->first[SL_METRIC_PROCESS_START]] = u->start_time;
    cells[m->first[SL_METRIC_PROCESS_MINOR_FAULTS]] = (double)u->minor_faults;
    cells[m->first[SL_METRIC_PROCESS_MAJOR_FAULTS]] = (double)u->major_faults;
}

sl_scrape *sl_scrape_begin(sl_metrics *m, sl_scrape_page page) {
    SL_ON_THREAD(LOOP);
    bool experts = page == SL_SCRAPE_EXPERTS || m->experts_in_metrics;
    size_t count = experts ? m->cell_count : m->expert_first;
    sl_scrape *s = sl_malloc(sizeof *s + count * sizeof(double));
    if (!s) return NULL;
    *s = (sl_scrape){.m = m, .page = page};
    const double *steps = sl__shadow_read(m);
    memcpy(s->cells, steps, m->step_cells * sizeof(double));
    if (experts) memcpy(s->cells + m->expert_first, steps + m->expert_first, (count - m->expert_first) * sizeof(double));
    for (size_t i = m->step_cells; i < m->expert_first; i++) __atomic_load(&m->cells[i], &s->cells[i], __ATOMIC_RELAXED);
    if (page == SL_SCRAPE_MAIN) read_system(m, s->cells);
    return s;
}

sl_scrape *sl_scrape_free(sl_scrape *s) {
    sl_free(s);
    return NULL;
}

/* Whole numbers in full, others with the fewest of 15, 16 or 17 digits that give the same double back. */
static void put_value(sl_buffer *out, double x) {
    char text[40];
    int n = 0;
    if (isnan(x)) {
        n = snprintf(text, sizeof text, "NaN");
    } else if (isinf(x)) {
        n = snprintf(text, sizeof text, x > 0 ? "+Inf" : "-Inf");
    } else if (fabs(x) <= 9007199254740992.0 && x == floor(x)) {
        n = snprintf(text, sizeof text, "%lld", (long long)x);
    } else {
        for (int digits = 15; digits <= 17; digits++) {
            n = snprintf(text, sizeof text, "%.*g", digits, x);
            if (digits == 17 || strtod(text, NULL) == x) break;
        }
    }
    sl_buffer_append(out, text, (size_t)n);
}

static void put_text_label(sl_buffer *out, const char *name, const char *value) {
    sl_buffer_puts(out, name);
    sl_buffer_puts(out, "=\"");
    sl_buffer_puts(out, value);
    sl_buffer_puts(out, "\"");
}

static const char *const reject_text[SL_REJECT_COUNT] = {
    [SL_REJECT_QUEUE_FULL] = "queue_full", [SL_REJECT_TOO_LONG] = "too_long",
    [SL_REJECT_DRAINING] = "draining",     [SL_REJECT_AUTH] = "auth",
    [SL_REJECT_BAD_REQUEST] = "bad_request",
};
static const char *const rows_text[SL_ROWS_COUNT] = {
    [SL_ROWS_PREFILL] = "prefill", [SL_ROWS_DECODE] = "decode", [SL_ROWS_RECOMPUTED] = "recomputed"};
static const char *const pages_text[SL_PAGES_COUNT] = {[SL_PAGES_FULL] = "full", [SL_PAGES_WINDOW] = "window"};
static const char *const source_text[SL_SOURCE_COUNT] = {
    [SL_SOURCE_COMPUTED] = "computed", [SL_SOURCE_CACHED] = "cached"};
static const char *const phase_text[SL_PHASE_COUNT] = {
    [SL_PHASE_DECODE] = "decode", [SL_PHASE_PREFILL] = "prefill", [SL_PHASE_MIXED] = "mixed"};

/* A layer that does not route has slots, so that a block's number is its slot, but no series; nor has a status that was never answered
 * and that nobody watches. */
static bool has_series(const sl_scrape *s, int id, int slot) {
    const sl_metrics *m = s->m;
    switch (sl__metric_list[id].labels) {
    case SL__LABELS_ENDPOINT_CODE:
        return s->cells[m->first[id] + (size_t)slot] > 0 || (m->watched[slot / SL__CODES] && sl__code_watched(slot % SL__CODES));
    case SL__LABELS_LAYER: return m->routed[slot];
    case SL__LABELS_LAYER_EXPERT: return m->routed[slot / m->experts];
    default: return true;
    }
}

/* The labels of a slot without braces; nothing if it has none. */
static void put_labels(sl_buffer *out, const sl_metrics *m, int id, int slot) {
    switch (sl__metric_list[id].labels) {
    case SL__LABELS_NONE: break;
    case SL__LABELS_CONFIG: sl_buffer_puts(out, m->info[id]); break;
    case SL__LABELS_ENDPOINT_CODE:
        sl_buffer_puts(out, "endpoint=");
        sl_buffer_puts(out, m->endpoint_label[slot / SL__CODES]);
        sl_buffer_puts(out, ",");
        put_text_label(out, "code", sl__code_text[slot % SL__CODES]);
        break;
    case SL__LABELS_FINISH:
        sl_buffer_puts(out, "reason=");
        sl_buffer_puts(out, m->finish_label[slot]);
        break;
    case SL__LABELS_REJECT: put_text_label(out, "reason", reject_text[slot]); break;
    case SL__LABELS_ROWS: put_text_label(out, "kind", rows_text[slot]); break;
    case SL__LABELS_PAGES: put_text_label(out, "kind", pages_text[slot]); break;
    case SL__LABELS_SOURCE: put_text_label(out, "source", source_text[slot]); break;
    case SL__LABELS_PHASE: put_text_label(out, "phase", phase_text[slot]); break;
    case SL__LABELS_LAYER: sl_buffer_printf(out, "layer=\"%d\"", slot); break;
    case SL__LABELS_LAYER_EXPERT:
        sl_buffer_printf(out, "layer=\"%d\",expert=\"%d\"", slot / m->experts, slot % m->experts);
        break;
    }
}

/* name suffix {labels, le} value */
static void put_line(sl_buffer *out, const sl_metrics *m, int id, int slot, const char *suffix, const char *le, double x) {
    sl_buffer_puts(out, sl__metric_list[id].name);
    sl_buffer_puts(out, suffix);
    bool labelled = sl__metric_list[id].labels != SL__LABELS_NONE;
    if (labelled || le) {
        sl_buffer_puts(out, "{");
        put_labels(out, m, id, slot);
        if (labelled && le) sl_buffer_puts(out, ",");
        if (le) put_text_label(out, "le", le);
        sl_buffer_puts(out, "}");
    }
    sl_buffer_puts(out, " ");
    put_value(out, x);
    sl_buffer_puts(out, "\n");
}

/* Returns the number of lines. */
static int put_slot(sl_buffer *out, const sl_scrape *s, int id, int slot) {
    sl__kind kind = sl__metric_list[id].kind;
    sl__bounds b = sl__kind_bounds[kind];
    const double *p = s->cells + s->m->first[id] + (size_t)slot * (size_t)sl__metric_cells((sl_metric)id);
    if (b.count == 0) {
        put_line(out, s->m, id, slot, "", NULL, kind == SL__KIND_INFO ? 1 : *p);
        return 1;
    }
    double count = 0;
    for (int i = 0; i <= b.count; i++) {
        count += p[i];
        put_line(out, s->m, id, slot, "_bucket", i < b.count ? b.bound[i].text : "+Inf", count);
    }
    put_line(out, s->m, id, slot, "_sum", NULL, p[b.count + 1]);
    put_line(out, s->m, id, slot, "_count", NULL, count);
    return b.count + 3;
}

static void put_head(sl_buffer *out, const sl__metric *d) {
    const char *type = sl__kind_bounds[d->kind].count > 0   ? "histogram"
                       : d->kind == SL__KIND_COUNTER        ? "counter"
                                                            : "gauge";
    sl_buffer_printf(out, "# HELP %s ", d->name);
    for (const char *p = d->help; *p; p++) {
        if (*p == '\\') sl_buffer_puts(out, "\\\\");
        else if (*p == '\n') sl_buffer_puts(out, "\\n");
        else sl_buffer_append(out, p, 1);
    }
    sl_buffer_printf(out, "\n# TYPE %s %s\n", d->name, type);
}

bool sl_scrape_more(sl_scrape *s, sl_buffer *out) {
    for (int lines = 0; s->metric < SL_METRIC_COUNT;) {
        int id = s->metric;
        if (!on_page(s->m, s->page, id)) {
            s->metric++;
            continue;
        }
        if (lines >= PIECE_LINES) return true;
        if (s->slot == 0) put_head(out, &sl__metric_list[id]);
        if (has_series(s, id, s->slot)) lines += put_slot(out, s, id, s->slot);
        if (++s->slot == s->m->slots[id]) {
            s->slot = 0;
            s->metric++;
        }
    }
    return false;
}

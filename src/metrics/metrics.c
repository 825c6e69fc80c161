/* metrics.c: the registry. See metrics.h for who may write what, internal.h for where the cells lie. */
#include "metrics/internal.h"

#include "base/alloc.h"
#include "base/thread.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const sl__metric sl__metric_list[SL_METRIC_COUNT] = {
#define X(symbol, name, kind, labels, writer, help)                                                                    \
    [SL_METRIC_##symbol] = {name, SL__KIND_##kind, SL__LABELS_##labels, SL__WRITER_##writer, help},
    SL_METRIC_LIST(X)
#undef X
};

#define B(x) {x, #x},
static const sl__bound bounds_seconds[] = {
    B(0.001) B(0.002) B(0.003) B(0.005) B(0.0075) B(0.01) B(0.015) B(0.02) B(0.03) B(0.05) B(0.075) B(0.1) B(0.15) B(0.2)
    B(0.3) B(0.5) B(0.75) B(1) B(1.5) B(2) B(3) B(5) B(10) B(20) B(30) B(60) B(120) B(300) B(600)
};
static const sl__bound bounds_latency[] = {
    B(1e-05) B(2e-05) B(5e-05) B(0.0001) B(0.0002) B(0.0005) B(0.001) B(0.002) B(0.005) B(0.01) B(0.02) B(0.05) B(0.1)
    B(0.2) B(0.5) B(1) B(2) B(5) B(10)
};
static const sl__bound bounds_tokens[] = {
    B(1) B(2) B(5) B(10) B(20) B(50) B(100) B(200) B(500) B(1000) B(2000) B(5000) B(10000) B(20000) B(50000) B(100000)
    B(200000)
};
static const sl__bound bounds_rows[] = {
    B(1) B(2) B(4) B(8) B(16) B(32) B(64) B(128) B(256) B(512) B(1024) B(2048) B(4096)
};
#undef B

#define COUNT_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))
const sl__bounds sl__kind_bounds[SL__KIND_COUNT] = {
    [SL__KIND_SECONDS] = {bounds_seconds, COUNT_OF(bounds_seconds)},
    [SL__KIND_LATENCY] = {bounds_latency, COUNT_OF(bounds_latency)},
    [SL__KIND_TOKENS] = {bounds_tokens, COUNT_OF(bounds_tokens)},
    [SL__KIND_ROWS] = {bounds_rows, COUNT_OF(bounds_rows)},
};

static const int code_value[SL__CODES - 1] = {
#define X(code) code,
    SL__CODE_LIST(X)
#undef X
};
const char *const sl__code_text[SL__CODES] = {
#define X(code) #code,
    SL__CODE_LIST(X)
#undef X
    "other"
};

bool sl__code_watched(int code) {
    int status = code < SL__CODES - 1 ? code_value[code] : 0;
    return status == 200 || status == 429 || status == 500 || status == 503 || status == 504;
}

int sl__metric_cells(sl_metric id) {
    sl__kind kind = sl__metric_list[id].kind;
    return sl__kind_bounds[kind].count > 0 ? sl__kind_bounds[kind].count + 2 : 1;
}

static int slots_of(const sl_metrics *m, sl__labels labels) {
    switch (labels) {
    case SL__LABELS_NONE:
    case SL__LABELS_CONFIG: return 1;
    case SL__LABELS_ENDPOINT_CODE: return m->endpoints * SL__CODES;
    case SL__LABELS_FINISH: return m->finishes;
    case SL__LABELS_REJECT: return SL_REJECT_COUNT;
    case SL__LABELS_ROWS: return SL_ROWS_COUNT;
    case SL__LABELS_SOURCE: return SL_SOURCE_COUNT;
    case SL__LABELS_PAGES: return SL_PAGES_COUNT;
    case SL__LABELS_PHASE: return SL_PHASE_COUNT;
    case SL__LABELS_LAYER: return m->layers;
    case SL__LABELS_LAYER_EXPERT: return m->layers * m->experts;
    }
    return 0;
}

/* A label value with its quotes. What Prometheus escapes (quote, backslash, newline) is escaped as in JSON; bad UTF-8
 * becomes U+FFFD, other control characters a space. */
static void put_label(sl_buffer *out, const char *name, const char *value) {
    size_t len = value ? strlen(value) : 0;
    char *plain = sl_strndup(value ? value : "", len);
    if (!plain) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)plain[i] < 0x20 && plain[i] != '\n') plain[i] = ' ';
    }
    if (name) sl_buffer_printf(out, "%s=", name);
    sl_buffer_json(out, plain, len);
    sl_free(plain);
}

static const char *keep(sl_metrics *m, sl_buffer *text) {
    const char *ret = text->failed ? NULL : sl_arena_copy(m->arena, SL_MEM_METRICS, text->data, text->len);
    sl_buffer_clear(text);
    return ret;
}

static void put_number(sl_buffer *out, const char *name, int value) { sl_buffer_printf(out, "%s=\"%d\"", name, value); }

static bool keep_infos(sl_metrics *m, const sl_metrics_config *c) {
    sl_buffer b = {0};
    put_number(&b, "block_size", c->kv_block_size);
    sl_buffer_puts(&b, ",");
    put_number(&b, "num_gpu_blocks", c->kv_blocks);
    sl_buffer_puts(&b, ",");
    put_label(&b, "type", c->kv_type);
    m->info[SL_METRIC_CACHE_CONFIG] = keep(m, &b);
    put_label(&b, "model", c->model);
    sl_buffer_puts(&b, ",");
    put_label(&b, "family", c->family);
    sl_buffer_puts(&b, ",");
    put_label(&b, "type", c->type);
    sl_buffer_puts(&b, ",");
    put_number(&b, "experts", c->experts);
    sl_buffer_puts(&b, ",");
    put_number(&b, "experts_per_token", c->experts_per_token);
    m->info[SL_METRIC_MODEL_INFO] = keep(m, &b);
    put_label(&b, "version", c->version);
    sl_buffer_puts(&b, ",");
    put_label(&b, "tier", c->tier);
    m->info[SL_METRIC_BUILD_INFO] = keep(m, &b);
    sl_buffer_done(&b);
    return m->info[SL_METRIC_CACHE_CONFIG] && m->info[SL_METRIC_MODEL_INFO] && m->info[SL_METRIC_BUILD_INFO];
}

static bool keep_labels(sl_metrics *m, const sl_metrics_config *c) {
    m->endpoint = sl_arena_array(m->arena, SL_MEM_METRICS, (size_t)m->endpoints, sizeof(char *));
    m->endpoint_label = sl_arena_array(m->arena, SL_MEM_METRICS, (size_t)m->endpoints, sizeof(char *));
    m->finish_label = sl_arena_array(m->arena, SL_MEM_METRICS, (size_t)m->finishes + 1, sizeof(char *));
    bool *routed = sl_arena_array(m->arena, SL_MEM_METRICS, (size_t)m->layers + 1, sizeof(bool));
    bool *watched = sl_arena_array(m->arena, SL_MEM_METRICS, (size_t)m->endpoints, sizeof(bool)); /* "other" is not */
    if (!m->endpoint || !m->endpoint_label || !m->finish_label || !routed || !watched) return false;
    sl_buffer b = {0};
    bool ok = true;
    for (int i = 0; i < m->endpoints && ok; i++) {
        const char *path = i + 1 < m->endpoints ? c->endpoints[i] : "other";
        m->endpoint[i] = sl_arena_copy(m->arena, SL_MEM_METRICS, path, strlen(path));
        put_label(&b, NULL, path);
        m->endpoint_label[i] = keep(m, &b);
        ok = m->endpoint[i] && m->endpoint_label[i];
    }
    for (int i = 0; i < m->finishes && ok; i++) {
        put_label(&b, NULL, c->finish[i]);
        m->finish_label[i] = keep(m, &b);
        ok = m->finish_label[i] != NULL;
    }
    sl_buffer_done(&b);
    for (int i = 0; i < m->layers; i++) routed[i] = !c->routed || c->routed[i];
    m->routed = routed;
    for (int i = 0; i < c->endpoint_count && c->watched; i++) watched[i] = c->watched[i];
    m->watched = watched;
    return ok && keep_infos(m, c);
}

static size_t place(sl_metrics *m, sl__writer writer, bool experts, size_t at) {
    for (int id = 0; id < SL_METRIC_COUNT; id++) {
        const sl__metric *d = &sl__metric_list[id];
        if (d->writer != writer || (d->labels == SL__LABELS_LAYER_EXPERT) != experts) continue;
        m->slots[id] = slots_of(m, d->labels);
        m->first[id] = at;
        at += (size_t)m->slots[id] * (size_t)sl__metric_cells((sl_metric)id);
    }
    return (at + 7) & ~(size_t)7;
}

sl_status sl_metrics_new(const sl_metrics_config *c, sl_metrics **ret, sl_error *e) {
    if (c->layers < 0 || c->experts < 0 || c->endpoint_count < 0 || c->finish_count < 0 || c->layers > 4096 || c->experts > 65536)
        return sl_fail(e, SL_INVALID, "metrics: %d layers of %d experts are out of range", c->layers, c->experts);
    sl_arena *arena = sl_arena_new();
    sl_metrics *m = arena ? sl_arena_alloc(arena, SL_MEM_METRICS, sizeof *m) : NULL;
    if (!m) goto fail;
    m->arena = arena;
    m->layers = c->experts > 0 ? c->layers : 0;
    m->experts = c->experts;
    m->experts_in_metrics = c->experts_in_metrics;
    m->endpoints = c->endpoint_count + 1;
    m->finishes = c->finish_count;
    if (!keep_labels(m, c)) goto fail;
    m->step_cells = place(m, SL__WRITER_ENGINE, false, 0);
    size_t at = place(m, SL__WRITER_LOOP, false, m->step_cells);
    at = place(m, SL__WRITER_ANY, false, at);
    m->expert_first = place(m, SL__WRITER_READ, false, at);
    m->cell_count = place(m, SL__WRITER_ENGINE, true, m->expert_first);
    m->cells = sl_arena_array(arena, SL_MEM_METRICS, m->cell_count, sizeof(double));
    if (!m->cells) goto fail;
    for (unsigned i = 0; i < 3; i++) {
        m->shadow.copy[i] = sl_arena_array(arena, SL_MEM_METRICS, m->cell_count, sizeof(double));
        if (!m->shadow.copy[i]) goto fail;
    }
    m->shadow.read = 1;
    atomic_init(&m->shadow.between, 2);
    *ret = m;
    return SL_OK;
fail:
    sl_arena_free(arena);
    return sl_fail(e, SL_NOMEM, "metrics: out of memory");
}

size_t sl_metrics_bytes(int layers, int experts, int endpoints) {
    sl_metrics m = {.layers = experts > 0 ? layers : 0, .experts = experts, .endpoints = endpoints + 1, .finishes = 64};
    size_t cells = place(&m, SL__WRITER_ENGINE, false, 0);
    cells = place(&m, SL__WRITER_LOOP, false, cells);
    cells = place(&m, SL__WRITER_ANY, false, cells);
    cells = place(&m, SL__WRITER_READ, false, cells);
    cells = place(&m, SL__WRITER_ENGINE, true, cells);
    return 4 * cells * sizeof(double) + ((size_t)192 << 10); /* cells and copies; labels, ends of chunks */
}

sl_metrics *sl_metrics_free(sl_metrics *m) {
    if (!m) return NULL;
    sl_arena_free(m->arena);
    return NULL;
}

/* --- the engine's cells and their copies --- */

void sl_metrics_begin(sl_metrics *m) {
    SL_ON_THREAD(ENGINE);
    if (m) m->shadow.counting = true;
}

void sl_metrics_end(sl_metrics *m) {
    SL_ON_THREAD(ENGINE);
    if (!m) return;
    sl__shadow *s = &m->shadow;
    s->counting = false;
    if (!s->changed) return;
    s->changed = false;
    double *to = s->copy[s->filled];
    memcpy(to, m->cells, m->step_cells * sizeof(double));
    memcpy(to + m->expert_first, m->cells + m->expert_first, (m->cell_count - m->expert_first) * sizeof(double));
    s->filled = atomic_exchange_explicit(&s->between, s->filled | SL__FRESH, memory_order_acq_rel) & ~SL__FRESH;
}

const double *sl__shadow_read(sl_metrics *m) {
    sl__shadow *s = &m->shadow;
    if (atomic_load_explicit(&s->between, memory_order_relaxed) & SL__FRESH)
        s->read = atomic_exchange_explicit(&s->between, s->read, memory_order_acq_rel) & ~SL__FRESH;
    return s->copy[s->read];
}

/* --- counting --- */

/* NULL: there is nothing to count here. */
static double *cell(sl_metrics *m, sl_metric id, int slot) {
    if (!m || slot < 0 || slot >= m->slots[id]) return NULL;
    assert(sl__metric_list[id].writer != SL__WRITER_ENGINE || m->shadow.counting);
    assert(sl__metric_list[id].writer != SL__WRITER_READ);
    return m->cells + m->first[id] + (size_t)slot * (size_t)sl__metric_cells(id);
}

/* A turn of the engine that counts nothing publishes nothing. */
static void changed(sl_metrics *m, sl_metric id) {
    if (sl__metric_list[id].writer == SL__WRITER_ENGINE) m->shadow.changed = true;
}

static void add_atomic(double *p, double x) {
    double old, sum;
    __atomic_load(p, &old, __ATOMIC_RELAXED);
    do sum = old + x;
    while (!__atomic_compare_exchange(p, &old, &sum, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

void sl_metrics_add(sl_metrics *m, sl_metric id, int slot, double x) {
    double *p = cell(m, id, slot);
    if (!p || !isfinite(x) || x == 0) return;
    changed(m, id);
    assert(sl__metric_list[id].kind == SL__KIND_GAUGE || (sl__metric_list[id].kind == SL__KIND_COUNTER && x >= 0));
    if (sl__metric_list[id].writer == SL__WRITER_ANY) add_atomic(p, x);
    else *p += x;
}

void sl_metrics_set(sl_metrics *m, sl_metric id, int slot, double x) {
    double *p = cell(m, id, slot);
    if (!p) return;
    assert(sl__metric_list[id].kind == SL__KIND_GAUGE);
    if (sl__metric_list[id].writer == SL__WRITER_ANY) {
        __atomic_store(p, &x, __ATOMIC_RELAXED);
    } else if (*p != x) {
        changed(m, id);
        *p = x;
    }
}

void sl_metrics_observe(sl_metrics *m, sl_metric id, int slot, double x) {
    double *p = cell(m, id, slot);
    if (!p || !isfinite(x)) return;
    sl__bounds b = sl__kind_bounds[sl__metric_list[id].kind];
    assert(b.count > 0 && sl__metric_list[id].writer == SL__WRITER_ENGINE);
    changed(m, id);
    int i = 0;
    while (i < b.count && x > b.bound[i].le) i++;
    p[i] += 1;
    p[b.count + 1] += x;
}

static const double *published(sl_metrics *m, sl_metric id, int slot) {
    const double *cells = sl__metric_list[id].writer == SL__WRITER_ENGINE ? sl__shadow_read(m) : m->cells;
    return cells + m->first[id] + (size_t)slot * (size_t)sl__metric_cells(id);
}

double sl_metrics_get(sl_metrics *m, sl_metric id, int slot) {
    if (!m || slot < 0 || slot >= m->slots[id]) return 0;
    double x;
    __atomic_load(published(m, id, slot), &x, __ATOMIC_RELAXED);
    return x;
}

double sl_metrics_observed(sl_metrics *m, sl_metric id, int slot, double *ret_sum) {
    int bounds = sl__kind_bounds[sl__metric_list[id].kind].count;
    const double *p = published(m, id, slot);
    double count = 0;
    for (int i = 0; i <= bounds; i++) count += p[i];
    *ret_sum = p[bounds + 1];
    return count;
}

int sl_metrics_request_slot(const sl_metrics *m, const char *endpoint, int status) {
    if (!m) return 0;
    int row = 0, code = 0;
    while (row + 1 < m->endpoints && (!endpoint || strcmp(m->endpoint[row], endpoint) != 0)) row++;
    while (code < SL__CODES - 1 && code_value[code] != status) code++;
    return row * SL__CODES + code;
}

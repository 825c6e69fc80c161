#include "cli/survey.h"

#include "base/alloc.h"
#include "cli/kinds.h"
#include "cli/plan.h"
#include "cli/words.h"
#include "forward/forward.h"
#include "forward/kv.h"
#include "forward/state.h"

#include <stdlib.h>
#include <string.h>

/* The pass: every window of the corpus is a sequence of its own, run as a prompt is: the forward pass of the server, chunk by
 * chunk. Domains take turns, window by window, so that a pass that is cut short has seen each of them. */

enum {
    MOST_ROWS = 256,       /* of a step */
    DEFAULT_CONTEXT = 512,
    STRETCH = 256,         /* tokens: a domain's halves are alternate stretches of so many */
};
#define LOGIT_BYTES ((size_t)64 << 20)  /* of a step, about: every row has its prediction */
#define TABLE_BYTES ((size_t)256 << 20) /* of the tables of tokens, at most */

typedef struct pass {
    sl_survey *v;
    const sl_hparams *hp;
    sl_forward *f;
    sl_workers *workers;
    sl_forward_config config;
    int32_t *page;          /* [kv_pages] */
    sl_step_row *row;       /* [max_rows] */
    sl_census_row *what;    /* [max_rows] */
    uint8_t *kind;          /* [vocab] */
    sl_ids prefix;
    uint64_t counted;
    size_t cursor[SL_CORPUS_DOMAINS]; /* next id of each domain */
    size_t document[SL_CORPUS_DOMAINS]; /* that it stands in */
} pass;

/* --- which ids get a place in the tables: the most frequent ones, as many as there is room for --- */

typedef struct frequency {
    int32_t id;
    uint32_t count;
} frequency;

static int by_count(const void *a, const void *b) {
    const frequency *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

/* *ret [*ret_count], ids with `least` occurrences or more, most frequent first. */
static sl_status frequent(const sl_corpus *c, int vocab, uint64_t least, int32_t **ret, int *ret_count, sl_error *e) {
    frequency *f = sl_calloc((size_t)vocab + 1, sizeof *f);
    int32_t *ids = sl_calloc((size_t)vocab + 1, sizeof *ids);
    int count = 0;
    if (!f || !ids) {
        sl_free(f);
        sl_free(ids);
        return sl_fail(e, SL_NOMEM, "out of memory");
    }
    for (int i = 0; i < vocab; i++) f[i].id = i;
    for (int d = 0; d < c->domains; d++)
        for (size_t i = 0; i < c->domain[d].ids.count; i++) f[c->domain[d].ids.id[i]].count++;
    qsort(f, (size_t)vocab, sizeof *f, by_count);
    while (count < vocab && f[count].count >= least && f[count].count) ids[count] = f[count].id, count++;
    sl_free(f);
    *ret = ids;
    *ret_count = count;
    return SL_OK;
}

/* --- what it takes --- */

static int least(int a, int b) { return a < b ? a : b; }

static int rows_of_step(const sl_hparams *hp, int window) {
    size_t rows = LOGIT_BYTES / ((size_t)hp->vocab * sizeof(float));
    int most = rows < 16 ? 16 : rows > MOST_ROWS ? MOST_ROWS : (int)rows;
    return least(most, window);
}

static sl_status choose_context(sl_survey *v, sl_error *e) {
    int positions = sl_plan_positions(v->model), most = positions - v->prefix, asked = v->s->engine.ctx;
    if (asked > most)
        return sl_fail_param(e, SL_MISUSE, "ctx", "--ctx: %d tokens are more than the model's %d positions%s", asked, positions,
                             v->prefix ? " less what begins every text" : "");
    if (most < 1) return sl_fail(e, SL_UNSUPPORTED, "a sequence of %d positions has no room for text", positions);
    v->context = asked ? asked : least(DEFAULT_CONTEXT, most);
    return SL_OK;
}

/* Memory before anything of it is taken; sets the number of ids in the tables. */
static sl_status plan_memory(pass *p, sl_census_config *c, sl_error *e) {
    sl_survey *v = p->v;
    sl_machine machine;
    char need[24], counters[24], most[24];
    sl_machine_read(&machine);
    size_t workspace = sl_forward_workspace_bytes(&p->config), ids = 0;
    for (int d = 0; d < v->corpus->domains; d++) ids += v->corpus->domain[d].ids.cap * sizeof(int32_t);
    uint64_t other = ids + workspace + sl_tokenizer_memory(v->tokenizer) +
                     sl_kv_cost_of(p->hp, p->config.kv_type).page_bytes * (uint64_t)p->config.kv_pages + sl_state_bytes(p->hp);
    uint64_t left = machine.memory_limit > other ? (machine.memory_limit - other) / 4 : 0, tables = left < TABLE_BYTES ? left : TABLE_BYTES;
    size_t one = sl_census_table_bytes(c);
    if (one && (uint64_t)c->tokens > tables / one) c->tokens = (int)(tables / one);
    v->counters = sl_census_bytes(c);
    v->memory = other + v->counters;
    if (workspace == SIZE_MAX || v->memory > machine.memory_limit)
        return sl_fail(e, SL_TOO_LONG, "needs %s of memory, counters of %s among it, and the limit is %s: lower --ctx or --tokens",
                       sl_bytes_text(v->memory, need), sl_bytes_text(v->counters, counters), sl_bytes_text(machine.memory_limit, most));
    return SL_OK;
}

static sl_status open_forward(pass *p, sl_error *e) {
    const sl_settings *s = p->v->s;
    const sl_engine_config *g = &s->engine;
    sl_machine machine;
    sl_machine_read(&machine);
    int window = p->v->context + p->v->prefix, threads = g->threads ? g->threads : machine.threads, rows = rows_of_step(p->hp, window);
    p->config = (sl_forward_config){.model = p->v->model,
                                    .threads = threads,
                                    .max_rows = rows,
                                    .max_logit_rows = rows,
                                    .max_sequences = 1,
                                    .ctx = window,
                                    .kv_type = !strcmp(s->kv_type, "f32") ? SL_KV_F32 : SL_KV_I16,
                                    .kv_pages = (window + SL_PAGE - 1) / SL_PAGE,
                                    .states = 1,
                                    .routed = sl_census_routed};
    int32_t *ids;
    sl_census_config c = {.layers = p->hp->layers, .routed = p->hp->sparse, .experts = p->hp->experts, .used = p->hp->experts_used,
                          .domains = p->v->corpus->domains, .kinds = SL_KINDS, .vocab = p->hp->vocab, .max_rows = rows};
    sl_status st = frequent(p->v->corpus, p->hp->vocab, (uint64_t)s->min_count, &ids, &c.tokens, e);
    if (st) return st;
    c.token = ids;
    if (!(st = plan_memory(p, &c, e))) st = sl_census_new(&c, &p->v->census, e);
    sl_free(ids);
    if (st || (st = sl_workers_new(threads, g->worker_nice, &p->workers, e))) return st;
    p->config.workers = p->workers;
    p->config.routed_arg = p->v->census;
    if ((st = sl_forward_new(&p->config, &p->f, e))) return st;
    p->page = sl_calloc((size_t)p->config.kv_pages, sizeof *p->page);
    p->row = sl_calloc((size_t)rows, sizeof *p->row);
    p->what = sl_calloc((size_t)rows, sizeof *p->what);
    p->kind = sl_calloc((size_t)p->hp->vocab, 1);
    if (!p->page || !p->row || !p->what || !p->kind) return sl_fail(e, SL_NOMEM, "out of memory");
    for (int i = 0; i < p->config.kv_pages; i++) p->page[i] = i;
    return SL_OK;
}

/* The ids that stand before every text: bos, where there is one. */
static sl_status find_prefix(pass *p, sl_error *e) {
    sl_status st = sl_tokenizer_encode(p->v->tokenizer, "", 0, SL_CONTENT, true, 64, &p->prefix, e);
    size_t n = (size_t)sl_tokenizer_prefix(p->v->tokenizer);
    if (!st && p->prefix.count > n) p->prefix.count = n;
    p->v->prefix = (int)p->prefix.count;
    return st;
}

static void classify(pass *p) {
    sl_buffer piece = {0};
    for (int id = 0; id < p->hp->vocab; id++) {
        sl_buffer_clear(&piece);
        sl_tokenizer_piece(p->v->tokenizer, id, &piece);
        p->kind[id] = (uint8_t)sl_kind_of(sl_buffer_text(&piece), piece.len, sl_tokenizer_special(p->v->tokenizer, id));
    }
    sl_buffer_done(&piece);
}

/* --- the pass --- */

static int32_t likeliest(const float *logits, int vocab) {
    int32_t best = 0;
    for (int32_t i = 1; i < vocab; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

/* Rows `from` to `to` of a window: its prefix, then the domain's ids from `first` on, which end with their document at `end`. */
static void step(pass *p, int domain, size_t first, size_t end, int from, int to) {
    const int32_t *id = p->v->corpus->domain[domain].ids.id;
    int rows = to - from, prefix = p->v->prefix;
    for (int i = 0; i < rows; i++) {
        int at = from + i;
        bool counted = at >= prefix;
        size_t place = counted ? first + (size_t)(at - prefix) : 0;
        int32_t token = counted ? id[place] : p->prefix.id[at];
        p->row[i] = (sl_step_row){token, at, 0, true};
        p->what[i] = (sl_census_row){.domain = counted ? domain : -1, .half = (int)(place / STRETCH % 2), .kind = p->kind[token],
                                     .id = {token, -1, counted && place + 1 < end ? id[place + 1] : -1}};
    }
    sl_step_sequence sequence = {.page = p->page};
    sl_step s = {.row = p->row, .rows = rows, .sequence = &sequence, .sequences = 1};
    const float *logits = sl_forward_run(p->f, &s);
    for (int i = 0; i < rows; i++) {
        int32_t *ids = p->what[i].id;
        ids[SL_CENSUS_PREDICTED] = likeliest(logits + (size_t)i * (size_t)p->hp->vocab, p->hp->vocab);
        if (p->what[i].domain < 0 || ids[SL_CENSUS_NEXT] < 0) continue;
        p->v->followed[domain]++;
        p->v->right[domain] += ids[SL_CENSUS_PREDICTED] == ids[SL_CENSUS_NEXT];
    }
    sl_census_add(p->v->census, p->what, rows);
}

/* The next window of a domain; false: interrupted. *left: there was one. */
static bool window(pass *p, int domain, bool (*progress)(uint64_t, uint64_t), bool *left) {
    const sl_domain *d = &p->v->corpus->domain[domain];
    size_t first = p->cursor[domain];
    *left = first < d->ids.count;
    if (!*left) return true;
    size_t end = d->end[p->document[domain]], count = end - first;
    if (count > (size_t)p->v->context) count = (size_t)p->v->context;
    int rows = p->v->prefix + (int)count;
    for (int from = 0; from < rows; from += p->config.max_rows) {
        int to = least(from + p->config.max_rows, rows);
        step(p, domain, first, end, from, to);
        p->counted += (uint64_t)(to > p->v->prefix ? to - (from > p->v->prefix ? from : p->v->prefix) : 0);
        if (!progress(p->counted, p->v->corpus->tokens)) return p->counted == p->v->corpus->tokens;
    }
    p->cursor[domain] = first + count;
    if (p->cursor[domain] == end) p->document[domain]++;
    return true;
}

static void run(pass *p, bool (*progress)(uint64_t, uint64_t)) {
    p->v->complete = true;
    for (bool any = true; any && p->v->complete;) {
        any = false;
        for (int d = 0; d < p->v->corpus->domains && p->v->complete; d++) {
            bool left;
            p->v->complete = window(p, d, progress, &left);
            any |= left;
        }
    }
}

static void measure_cover(sl_survey *v) {
    for (int side = 0; side < SL_CENSUS_SIDES; side++) {
        uint64_t all = 0, covered = 0;
        for (int i = 0; i < v->model->hp.vocab; i++) all += sl_census_seen(v->census, (sl_census_side)side, i);
        for (int i = 0; i < sl_census_tokens(v->census); i++)
            covered += sl_census_seen(v->census, (sl_census_side)side, sl_census_token(v->census, i));
        v->covered[side] = all ? (double)covered / (double)all : 0;
    }
}

/* --layer: numbers and ranges with commas, "0,4-7"; "": all that route. */
static sl_status choose_layers(sl_survey *v, sl_error *e) {
    const char *text = v->s->layer;
    int layers = sl_census_layers(v->census);
    v->shown = sl_calloc((size_t)layers + 1, sizeof *v->shown);
    if (!v->shown) return sl_fail(e, SL_NOMEM, "out of memory");
    for (int i = 0; i < layers; i++) v->shown[i] = !text[0];
    for (const char *at = text; *at;) {
        char *end;
        long from = strtol(at, &end, 10), to = from;
        bool good = end != at;
        if (good && *end == '-') {
            at = end + 1;
            to = strtol(at, &end, 10);
            good = end != at;
        }
        if (!good || (*end && *end != ',') || (*end == ',' && !end[1]) || from < 0 || to < from)
            return sl_fail_param(e, SL_MISUSE, "layer", "--layer: \"%s\" is no list of layers (3 or 0,4-7)", text);
        bool any = false;
        for (int i = 0; i < layers; i++) {
            bool in = sl_census_layer(v->census, i) >= from && sl_census_layer(v->census, i) <= to;
            v->shown[i] |= in;
            any |= in;
        }
        if (!any)
            return sl_fail_param(e, SL_MISUSE, "layer", "--layer: no layer from %ld to %ld routes; those that do are between %d and %d", from,
                                 to, sl_census_layer(v->census, 0), sl_census_layer(v->census, layers - 1));
        at = *end ? end + 1 : end;
    }
    return SL_OK;
}

sl_status sl_survey_run(sl_survey *v, bool (*progress)(uint64_t done, uint64_t of), sl_error *e) {
    pass p = {.v = v, .hp = &v->model->hp};
    sl_status st = find_prefix(&p, e);
    if (!st) st = choose_context(v, e);
    if (!st) st = open_forward(&p, e);
    if (!st) st = choose_layers(v, e);
    if (!st) {
        classify(&p);
        run(&p, progress);
        measure_cover(v);
        st = sl_views_new(v->census, p.hp->experts, p.hp->experts_used, v->corpus->domains, SL_KINDS, (uint64_t)v->s->min_count, &v->views, e);
    }
    if (!st) v->views->chosen = v->shown;
    sl_forward_free(p.f);
    sl_workers_free(p.workers);
    sl_free(p.page);
    sl_free(p.row);
    sl_free(p.what);
    sl_free(p.kind);
    sl_free(p.prefix.id);
    return st;
}

void sl_survey_done(sl_survey *v) {
    v->views = sl_views_free(v->views);
    v->census = sl_census_free(v->census);
    sl_free(v->shown);
    v->shown = NULL;
}

void sl_survey_token(const sl_survey *v, int place, int most, bool utf8, sl_buffer *out) {
    sl_buffer piece = {0};
    sl_tokenizer_piece(v->tokenizer, sl_census_token(v->census, place), &piece);
    sl_words_quoted(sl_buffer_text(&piece), piece.len, most, utf8, out);
    sl_buffer_done(&piece);
}

#include "experts/census.h"

#include "base/alloc.h"

#include <assert.h>

struct sl_census {
    sl_census_config c;
    int layers;       /* that route */
    int *layer;       /* [layers] number in the model */
    int *routed;      /* [c.layers] number among those that route; -1: does not */
    int32_t *token;   /* [c.tokens] */
    int32_t *place;   /* [c.vocab] place in the tables of tokens; -1: none */
    uint16_t *choice; /* [layers][c.max_rows][used] of the current step */
    uint64_t *rows;   /* [domains][2] */
    uint64_t *load;   /* [domains][2][layers][experts] */
    uint64_t *kind_rows; /* [kinds] */
    uint64_t *kind;   /* [kinds][layers][experts] */
    uint32_t *pairs;  /* [layers][experts (experts - 1) / 2], (i < j) at j (j - 1) / 2 + i */
    uint32_t *path;   /* [layers - 1][experts][experts] */
    uint32_t *seen;   /* [SL_CENSUS_SIDES][vocab] */
    uint32_t *table;  /* [SL_CENSUS_SIDES][c.tokens][layers][experts] */
};

static int routed_layers(const sl_census_config *c) {
    int n = 0;
    for (int l = 0; l < c->layers; l++) n += c->routed[l];
    return n;
}

static size_t pairs_of(int experts) { return (size_t)experts * (size_t)(experts - 1) / 2; }

/* Products of a model's sizes (families/family.h), of vocab and of at most 2^16 domains and kinds: all below 2^63. */
size_t sl_census_table_bytes(const sl_census_config *c) {
    return SL_CENSUS_SIDES * (size_t)routed_layers(c) * (size_t)c->experts * sizeof(uint32_t);
}

size_t sl_census_bytes(const sl_census_config *c) {
    size_t layers = (size_t)routed_layers(c), experts = (size_t)c->experts, groups = (size_t)c->domains * 2 + (size_t)c->kinds;
    size_t paths = layers ? layers - 1 : 0;
    return sizeof(sl_census) + (layers + (size_t)c->layers) * sizeof(int) + ((size_t)c->tokens + (size_t)c->vocab) * sizeof(int32_t) +
           layers * (size_t)c->max_rows * (size_t)c->used * sizeof(uint16_t) + groups * (1 + layers * experts) * sizeof(uint64_t) +
           layers * pairs_of(c->experts) * sizeof(uint32_t) + paths * experts * experts * sizeof(uint32_t) +
           SL_CENSUS_SIDES * (size_t)c->vocab * sizeof(uint32_t) + (size_t)c->tokens * sl_census_table_bytes(c);
}

sl_status sl_census_new(const sl_census_config *config, sl_census **ret, sl_error *e) {
    sl_census *c = sl_calloc(1, sizeof *c);
    if (!c) return sl_fail(e, SL_NOMEM, "no memory to count in");
    c->c = *config;
    c->c.routed = NULL, c->c.token = NULL;
    c->layers = routed_layers(config);
    size_t layers = (size_t)c->layers, experts = (size_t)config->experts, vocab = (size_t)config->vocab;
    size_t tokens = (size_t)config->tokens, domains = (size_t)config->domains, kinds = (size_t)config->kinds;
    c->layer = sl_calloc(layers + 1, sizeof *c->layer);
    c->routed = sl_calloc((size_t)config->layers + 1, sizeof *c->routed);
    c->token = sl_calloc(tokens + 1, sizeof *c->token);
    c->place = sl_calloc(vocab + 1, sizeof *c->place);
    c->choice = sl_calloc(layers * (size_t)config->max_rows * (size_t)config->used + 1, sizeof *c->choice);
    c->rows = sl_calloc(domains * 2 + 1, sizeof *c->rows);
    c->load = sl_calloc(domains * 2 * layers * experts + 1, sizeof *c->load);
    c->kind_rows = sl_calloc(kinds + 1, sizeof *c->kind_rows);
    c->kind = sl_calloc(kinds * layers * experts + 1, sizeof *c->kind);
    c->pairs = sl_calloc(layers * pairs_of(config->experts) + 1, sizeof *c->pairs);
    c->path = sl_calloc((layers ? layers - 1 : 0) * experts * experts + 1, sizeof *c->path);
    c->seen = sl_calloc(SL_CENSUS_SIDES * vocab + 1, sizeof *c->seen);
    c->table = sl_calloc(SL_CENSUS_SIDES * tokens * layers * experts + 1, sizeof *c->table);
    if (!c->layer || !c->routed || !c->token || !c->place || !c->choice || !c->rows || !c->load || !c->kind_rows || !c->kind ||
        !c->pairs || !c->path || !c->seen || !c->table) {
        sl_census_free(c);
        return sl_fail(e, SL_NOMEM, "no memory to count in: %zu bytes", sl_census_bytes(config));
    }
    for (int l = 0, n = 0; l < config->layers; l++) {
        c->routed[l] = config->routed[l] ? n : -1;
        if (config->routed[l]) c->layer[n++] = l;
    }
    for (size_t i = 0; i < vocab; i++) c->place[i] = -1;
    for (size_t i = 0; i < tokens; i++) {
        c->token[i] = config->token[i];
        c->place[config->token[i]] = (int32_t)i;
    }
    *ret = c;
    return SL_OK;
}

sl_census *sl_census_free(sl_census *c) {
    if (!c) return NULL;
    sl_free(c->layer);
    sl_free(c->routed);
    sl_free(c->token);
    sl_free(c->place);
    sl_free(c->choice);
    sl_free(c->rows);
    sl_free(c->load);
    sl_free(c->kind_rows);
    sl_free(c->kind);
    sl_free(c->pairs);
    sl_free(c->path);
    sl_free(c->seen);
    sl_free(c->table);
    sl_free(c);
    return NULL;
}

static size_t at(const sl_census *c, size_t group, int layer) {
    return (group * (size_t)c->layers + (size_t)layer) * (size_t)c->c.experts;
}

static size_t domain_group(int domain, int half) { return (size_t)domain * 2 + (size_t)half; }

static size_t table_group(const sl_census *c, sl_census_side side, int place) {
    return (size_t)side * (size_t)c->c.tokens + (size_t)place;
}

static size_t path_at(const sl_census *c, int layer, int expert) {
    return ((size_t)layer * (size_t)c->c.experts + (size_t)expert) * (size_t)c->c.experts;
}

static uint16_t *choice_of(const sl_census *c, int layer, int row) {
    return c->choice + ((size_t)layer * (size_t)c->c.max_rows + (size_t)row) * (size_t)c->c.used;
}

void sl_census_routed(void *arg, int layer, int rows, const int32_t *expert, const float *weight) {
    sl_census *c = arg;
    (void)weight;
    assert(rows <= c->c.max_rows && c->routed[layer] >= 0);
    uint16_t *to = choice_of(c, c->routed[layer], 0);
    for (size_t i = 0; i < (size_t)rows * (size_t)c->c.used; i++) to[i] = (uint16_t)expert[i];
}

static void add_to(uint64_t *count, const uint16_t *chosen, int used) {
    for (int i = 0; i < used; i++) count[chosen[i]]++;
}

static void add_pairs(sl_census *c, int layer, const uint16_t *chosen) {
    uint32_t *pairs = c->pairs + (size_t)layer * pairs_of(c->c.experts);
    for (int j = 1; j < c->c.used; j++)
        for (int i = 0; i < j; i++) pairs[pairs_of(chosen[j]) + chosen[i]]++;
}

static void add_path(sl_census *c, int layer, const uint16_t *chosen, const uint16_t *followed) {
    for (int i = 0; i < c->c.used; i++) {
        uint32_t *path = c->path + path_at(c, layer, chosen[i]);
        for (int j = 0; j < c->c.used; j++) path[followed[j]]++;
    }
}

static void add_row(sl_census *c, const sl_census_row *row, int number) {
    c->rows[domain_group(row->domain, row->half)]++;
    c->kind_rows[row->kind]++;
    for (int side = 0; side < SL_CENSUS_SIDES; side++)
        if (row->id[side] >= 0) c->seen[(size_t)side * (size_t)c->c.vocab + (size_t)row->id[side]]++;
    for (int l = 0; l < c->layers; l++) {
        const uint16_t *chosen = choice_of(c, l, number);
        add_to(c->load + at(c, domain_group(row->domain, row->half), l), chosen, c->c.used);
        add_to(c->kind + at(c, (size_t)row->kind, l), chosen, c->c.used);
        add_pairs(c, l, chosen);
        if (l + 1 < c->layers) add_path(c, l, chosen, choice_of(c, l + 1, number));
        for (int side = 0; side < SL_CENSUS_SIDES; side++) {
            int place = row->id[side] >= 0 ? c->place[row->id[side]] : -1;
            if (place < 0) continue;
            uint32_t *table = c->table + at(c, table_group(c, (sl_census_side)side, place), l);
            for (int i = 0; i < c->c.used; i++) table[chosen[i]]++;
        }
    }
}

void sl_census_add(sl_census *c, const sl_census_row *row, int rows) {
    assert(rows <= c->c.max_rows);
    for (int i = 0; i < rows; i++)
        if (row[i].domain >= 0) add_row(c, &row[i], i);
}

int sl_census_layers(const sl_census *c) { return c->layers; }

int sl_census_layer(const sl_census *c, int routed) { return c->layer[routed]; }

uint64_t sl_census_rows(const sl_census *c, int domain, int half) {
    uint64_t sum = 0;
    for (int d = 0; d < c->c.domains; d++)
        for (int h = 0; h < 2; h++)
            if ((domain < 0 || d == domain) && (half < 0 || h == half)) sum += c->rows[domain_group(d, h)];
    return sum;
}

const uint64_t *sl_census_load(const sl_census *c, int domain, int half, int layer) {
    return c->load + at(c, domain_group(domain, half), layer);
}

uint64_t sl_census_kind_rows(const sl_census *c, int kind) { return c->kind_rows[kind]; }

const uint64_t *sl_census_kind(const sl_census *c, int kind, int layer) { return c->kind + at(c, (size_t)kind, layer); }

uint32_t sl_census_pair(const sl_census *c, int layer, int i, int j) {
    int low = i < j ? i : j, high = i < j ? j : i;
    return c->pairs[(size_t)layer * pairs_of(c->c.experts) + pairs_of(high) + (size_t)low];
}

const uint32_t *sl_census_path(const sl_census *c, int layer, int expert) {
    return c->path + path_at(c, layer, expert);
}

int sl_census_tokens(const sl_census *c) { return c->c.tokens; }

int32_t sl_census_token(const sl_census *c, int place) { return c->token[place]; }

uint32_t sl_census_seen(const sl_census *c, sl_census_side side, int32_t id) {
    return c->seen[(size_t)side * (size_t)c->c.vocab + (size_t)id];
}

const uint32_t *sl_census_of_token(const sl_census *c, sl_census_side side, int place, int layer) {
    return c->table + at(c, table_group(c, side, place), layer);
}

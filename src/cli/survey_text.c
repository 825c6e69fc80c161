#include "cli/survey.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "cli/kinds.h"
#include "cli/words.h"

#include <math.h>
#include <string.h>

/* The survey for a person at a terminal: what stands out, each number beside what chance would give. Every layer has its
 * line in two tables; of tokens, domains, pairs and paths the most telling ones are listed. */

enum {
    MOST_LINES = 24, /* layers of a table; of more a selection */
    NAME = 14,       /* characters of a domain's name */
    MOST_FINDS = 100,
};

typedef struct page {
    const sl_survey *v;
    const sl_views *w;
    const sl_text_style *style;
    sl_buffer *out;
} page;

static const char *begin(const page *p, const char *code) { return p->style->colours ? code : ""; }

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RED "\033[31m"
#define BLUE "\033[34m"
#define PLAIN "\033[0m"

static void heading(const page *p, const char *title) {
    sl_buffer_printf(p->out, "\n%s%s%s\n", begin(p, BOLD), title, begin(p, PLAIN));
}

static void remark(const page *p, const char *text) { sl_buffer_printf(p->out, "%s%s%s\n", begin(p, DIM), text, begin(p, PLAIN)); }

/* "1,234,567" */
static const char *grouped(uint64_t n, char text[32]) {
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), at = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = 0;
    return text;
}

/* "7.5 %", "61 %", "-" */
static const char *percent(double x, char text[16]) {
    if (!isfinite(x)) snprintf(text, 16, "-");
    else snprintf(text, 16, x < 0.1995 ? "%.1f %%" : "%.0f %%", x * 100);
    return text;
}

static const char *decimal(double x, int places, char text[16]) {
    if (!isfinite(x)) snprintf(text, 16, "-");
    else snprintf(text, 16, "%.*f", places, x);
    return text;
}

/* Columns that a text takes on a terminal, about. */
static int columns_of(const char *text, size_t len) {
    int columns = 0, n;
    for (size_t i = 0; i < len; i += (size_t)n) {
        uint32_t c = sl_utf8_next(text + i, len - i, &n) == SL_UTF8_GOOD ? sl_utf8_point(text + i) : 0xfffd;
        columns += c >= 0x1100 && (c < 0x1160 || (c >= 0x2e80 && c < 0xa4d0) || (c >= 0xac00 && c < 0xd7a4) || (c >= 0xf900 && c < 0xfb00) ||
                                   (c >= 0xfe30 && c < 0xfe70) || (c >= 0xff00 && c < 0xff61) || c >= 0x1f300) ? 2 : 1;
    }
    return columns;
}

/* A text in a field of so many columns: cut, and filled up on the right. */
static void field(const page *p, const char *text, int columns) {
    sl_buffer plain = {0};
    sl_words_line(text, &plain);
    int used = 0, n;
    size_t at = 0;
    for (; at < plain.len; at += (size_t)n) {
        sl_utf8_next(plain.data + at, plain.len - at, &n);
        int wide = columns_of(plain.data + at, (size_t)n);
        if (used + wide > columns) break;
        used += wide;
    }
    sl_buffer_append(p->out, plain.data, at);
    sl_buffer_printf(p->out, "%*s", columns - used, "");
    sl_buffer_done(&plain);
}

static const char *domain_name(const page *p, int d) { return p->v->corpus->domain[d].name; }

/* Where a table has `lines` of the chosen layers. */
static void say_thinned(const page *p, int lines) {
    int all[SL_MAX_LAYERS], n = sl_view_layers(p->w, SL_MAX_LAYERS, all);
    if (n > lines)
        sl_buffer_printf(p->out, "%s%d of %d layers; --layer, --json and --html have the others%s\n", begin(p, DIM), lines, n,
                         begin(p, PLAIN));
}

/* --- the head --- */

static void put_head(const page *p) {
    const sl_model *m = p->v->model;
    char n[32], chance[16];
    sl_buffer_printf(p->out, "%s", begin(p, BOLD));
    sl_words_line(m->name, p->out);
    sl_buffer_printf(p->out, "%s: %s, %d of %d layers route, each token to %d of %d experts%s\n", begin(p, PLAIN), m->family->name, p->w->layers,
                     m->hp.layers, p->w->used, p->w->experts, m->hp.shared_ff ? " (and to a shared one)" : "");
    sl_buffer_printf(p->out, "%s tokens read (prefill), in sequences of %d\nby chance an expert takes %s of anything\n\n", grouped(p->w->rows, n),
                     p->v->context, percent(sl_chance_row(p->w->experts, p->w->used), chance));
    field(p, "domain", NAME);
    sl_buffer_puts(p->out, "      tokens  next token predicted right\n");
    for (int d = 0; d < p->w->domains; d++) {
        char right[16];
        field(p, domain_name(p, d), NAME);
        sl_buffer_printf(p->out, "%12s  %s", grouped(p->w->domain_rows[d], n),
                         percent(p->v->followed[d] ? (double)p->v->right[d] / (double)p->v->followed[d] : NAN, right));
        sl_buffer_puts(p->out, p->v->corpus->domain[d].more ? "  (there is more text: --tokens)\n" : "\n");
    }
    if (!p->v->complete) sl_buffer_puts(p->out, "interrupted: these are the tokens until then\n");
}

/* --- a line a layer --- */

/* Eleven columns, 80 characters. */
#define LAYER_LINE "%5s %8s %5s %7s %5s %8s %7s %7s %6s %6s %6s\n"

static void put_layer_line(const page *p, const sl_layer_view *l) {
    char number[16], dead[16], a[9][16];
    const sl_vocabulary *in = &l->vocabulary[SL_CENSUS_INPUT];
    snprintf(number, sizeof number, "%d", l->layer);
    snprintf(dead, sizeof dead, "%d", p->w->experts - l->load.active);
    sl_buffer_printf(p->out, LAYER_LINE, number, decimal(l->load.max_over_mean, 2, a[0]), decimal(l->load.jain, 2, a[1]),
                     decimal(l->load.entropy, 2, a[2]), dead, decimal(l->js_between, 3, a[3]), decimal(l->js_within, 3, a[4]),
                     percent(in->score, a[5]), percent(in->chance, a[6]), l->leads ? percent(l->path.hit, a[7]) : "",
                     l->leads ? percent(l->path.hot, a[8]) : "");
}

static void put_layers(const page *p) {
    int at[SL_MAX_LAYERS], n = sl_view_layers(p->w, MOST_LINES, at);
    char chance[16], js[16];
    heading(p, "Load, and how the choice changes with depth");
    sl_buffer_printf(p->out, "%5s %-28s %-16s %-14s %s\n", "", "  ---- load of experts -----", " --- domains ---", " -- tokens ---", "- next layer");
    sl_buffer_printf(p->out, LAYER_LINE, "layer", "max/mean", "Jain", "entropy", "dead", "between", "within", "choose", "blind", "told", "hot");
    percent(sl_chance_row(p->w->experts, p->w->used), chance);
    sl_buffer_printf(p->out, "%s", begin(p, DIM));
    sl_buffer_printf(p->out, LAYER_LINE, "even", "1.00", "1.00", "1.00", "0", decimal(p->w->layer[at[0]].js_chance, 3, js), "",
                     "", "", chance, chance);
    sl_buffer_printf(p->out, "%s", begin(p, PLAIN));
    for (int i = 0; i < n; i++) put_layer_line(p, &p->w->layer[at[i]]);
    say_thinned(p, n);
    remark(p, "domains: Jensen-Shannon divergence of experts' shares in bits, mean over pairs;");
    remark(p, "  within: between halves of one domain: what there is without another domain");
    remark(p, "tokens: share of a token's occurrences that its favourite expert takes, mean of");
    remark(p, "  tokens; blind: what they would give if experts took them by load alone");
    remark(p, "next layer: share of its choice that can be guessed from one expert of this one");
    remark(p, "  (told), and without knowing it, as the busiest ones (hot)");
}

/* --- the load map --- */

static const char *const shades_utf8[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const shades_plain[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};

/* ratio 1 is the middle one; the highest from 2 on. */
static void put_shade(const page *p, double ratio) {
    const char *const *shades = p->style->utf8 ? shades_utf8 : shades_plain;
    if (ratio <= 0) {
        sl_buffer_printf(p->out, "%sx%s", begin(p, RED), begin(p, PLAIN));
        return;
    }
    int i = (int)(ratio * 4 + 0.5);
    i = i < 1 ? 1 : i > 8 ? 8 : i;
    const char *colour = ratio >= 1.5 ? RED : ratio <= 0.5 ? BLUE : "";
    sl_buffer_printf(p->out, "%s%s%s", begin(p, colour), shades[i], colour[0] ? begin(p, PLAIN) : "");
}

static void put_map(const page *p) {
    int at[SL_MAX_LAYERS], n = sl_view_layers(p->w, MOST_LINES, at), room = p->style->columns - 8, experts = p->w->experts;
    int each = (experts + room - 1) / room;
    const char *const *shades = p->style->utf8 ? shades_utf8 : shades_plain;
    heading(p, "Load map: each expert's share over an even share");
    for (int i = 0; i < n; i++) {
        const sl_layer_view *l = &p->w->layer[at[i]];
        sl_buffer_printf(p->out, "%5d |", l->layer);
        for (int e = 0; e < experts; e += each) {
            uint64_t most = 0;
            for (int j = e; j < e + each && j < experts; j++)
                if (l->count[j] > most) most = l->count[j];
            put_shade(p, l->load.total ? (double)most * experts / (double)l->load.total : 0);
        }
        sl_buffer_puts(p->out, "|\n");
    }
    sl_buffer_printf(p->out, "%sexperts 0 to %d from left to right", begin(p, DIM), experts - 1);
    if (each > 1) sl_buffer_printf(p->out, ", the busiest of each %d", each);
    sl_buffer_printf(p->out, ";\nx dead, %s to 0.4, %s even, %s 2 or more%s\n", shades[1], shades[4], shades[8], begin(p, PLAIN));
    say_thinned(p, n);
}

static void put_dead(const page *p) {
    int at[SL_MAX_LAYERS], n = sl_view_layers(p->w, SL_MAX_LAYERS, at), dead = 0, listed = 0;
    for (int i = 0; i < n; i++) dead += p->w->experts - p->w->layer[at[i]].load.active;
    double chance = (double)n * p->w->experts * pow(1 - sl_chance_row(p->w->experts, p->w->used), (double)p->w->rows);
    char text[16];
    sl_buffer_printf(p->out, "dead experts, which no token of this text chose: %d of %d (by chance %s)\n", dead, n * p->w->experts,
                     chance < 0.05 ? "0" : decimal(chance, 1, text));
    for (int i = 0; i < n && listed < 8; i++) {
        const sl_layer_view *l = &p->w->layer[at[i]];
        if (l->load.active == p->w->experts) continue;
        sl_buffer_printf(p->out, "  layer %d:", l->layer);
        for (int e = 0, k = 0; e < p->w->experts && k < 12; e++)
            if (!l->count[e]) {
                sl_buffer_printf(p->out, " %d", e);
                if (++k == 12) sl_buffer_puts(p->out, " and more");
            }
        sl_buffer_puts(p->out, "\n");
        listed++;
    }
}

/* --- domains --- */

static void put_distances(const page *p) {
    int most = (p->style->columns - NAME) / 9, columns = p->w->domains < most ? p->w->domains : most;
    char text[16];
    sl_buffer_puts(p->out, "divergence in bits, mean over layers; on the diagonal: between a domain's halves\n");
    field(p, "", NAME);
    for (int d = 0; d < columns; d++) {
        sl_buffer_puts(p->out, " ");
        field(p, domain_name(p, d), 8);
    }
    sl_buffer_puts(p->out, "\n");
    for (int i = 0; i < p->w->domains && i < 4 * most; i++) {
        field(p, domain_name(p, i), NAME);
        for (int j = 0; j <= i && j < columns; j++)
            sl_buffer_printf(p->out, " %s%-8s%s", i == j ? begin(p, DIM) : "", decimal(sl_view_mean_js(p->w, i, j), 3, text),
                             i == j ? begin(p, PLAIN) : "");
        sl_buffer_puts(p->out, "\n");
    }
    if (columns < p->w->domains) remark(p, "more domains than fit; --json and --html have all");
}

static void put_domain_finds(const page *p, int d) {
    sl_find f[MOST_FINDS];
    char a[16], b[16];
    int n = sl_find_domains(p->w, d, -1, (int)p->v->s->top, f);
    for (int i = 0; i < n; i++) {
        field(p, i ? "" : domain_name(p, d), NAME);
        sl_buffer_printf(p->out, " %5d %7d %8s %10s %8.1f\n", p->w->layer[f[i].layer].layer, f[i].expert, percent(f[i].share.share, a),
                         percent(f[i].usual, b), f[i].share.share / f[i].usual);
    }
}

static void put_domains(const page *p) {
    char chance[16];
    heading(p, "Domains: where a domain's tokens go");
    if (p->w->domains > 1) put_distances(p);
    sl_buffer_puts(p->out, "\n");
    field(p, "domain", NAME);
    sl_buffer_printf(p->out, " layer  expert    takes  %s  times\n", p->w->domains > 1 ? "on average" : " by chance");
    for (int d = 0; d < p->w->domains && d < 16; d++)
        if (p->w->domain_rows[d]) put_domain_finds(p, d);
    sl_buffer_printf(p->out, "%stakes: share of the domain's tokens that the expert gets; by chance %s%s\n", begin(p, DIM),
                     percent(sl_chance_row(p->w->experts, p->w->used), chance), begin(p, PLAIN));
}

/* --- tokens --- */

/* "text" 97 % of 812, … as many as fit */
static void put_tokens_of(const page *p, const sl_find *f, int count, int used) {
    sl_buffer item = {0};
    for (int i = 0; i < count; i++) {
        char a[16], n[32];
        sl_buffer_clear(&item);
        sl_survey_token(p->v, f[i].other, 12, p->style->utf8, &item);
        sl_buffer_printf(&item, " %s of %s", percent(f[i].share.share, a), grouped(f[i].share.n, n));
        int wide = columns_of(item.data, item.len);
        if (used + wide + 2 > p->style->columns) break;
        sl_buffer_puts(p->out, i ? "  " : "");
        sl_buffer_append(p->out, item.data, item.len);
        used += wide + 2;
    }
    sl_buffer_puts(p->out, "\n");
    sl_buffer_done(&item);
}

typedef struct ranked {
    int expert;
    double rank;
} ranked;

/* Experts of a layer by how much their five best tokens are theirs. */
static int rank_experts(const page *p, int layer, int most, ranked ret[MOST_FINDS]) {
    int n = 0;
    for (int e = 0; e < p->w->experts; e++) {
        sl_find f[5];
        int count = sl_find_tokens(p->w, SL_CENSUS_INPUT, layer, e, 5, f);
        double rank = 0;
        for (int i = 0; i < count; i++) rank += f[i].rank;
        int at = n;
        while (at > 0 && rank > ret[at - 1].rank) at--;
        if (at == most || rank <= 0) continue;
        if (n < most) n++;
        for (int i = n - 1; i > at; i--) ret[i] = ret[i - 1];
        ret[at] = (ranked){e, rank};
    }
    return n;
}

static void put_tokens(const page *p) {
    int at[SL_MAX_LAYERS], n = sl_view_layers(p->w, 3, at);
    char chance[16];
    heading(p, "Tokens: the experts whose tokens are most their own");
    sl_buffer_puts(p->out, "layer expert  tokens that it takes: share of their occurrences\n");
    for (int i = 0; i < n; i++) {
        ranked best[MOST_FINDS];
        sl_find f[8];
        int count = rank_experts(p, at[i], (int)p->v->s->top, best);
        for (int k = 0; k < count; k++) {
            sl_buffer_printf(p->out, "%5d %6d  ", p->w->layer[at[i]].layer, best[k].expert);
            put_tokens_of(p, f, sl_find_tokens(p->w, SL_CENSUS_INPUT, at[i], best[k].expert, 8, f), 14);
        }
    }
    sl_buffer_printf(p->out, "%sby chance %s; tokens with %llu occurrences or more (%s of the text)%s\n", begin(p, DIM),
                     percent(sl_chance_row(p->w->experts, p->w->used), chance), (unsigned long long)p->w->least,
                     percent(p->v->covered[SL_CENSUS_INPUT], (char[16]){0}), begin(p, PLAIN));
    say_thinned(p, n);
}

static void put_kinds(const page *p) {
    heading(p, "Kinds of tokens: the experts that take most of each");
    sl_buffer_puts(p->out, "kind              tokens  layer  expert    takes  of all  times\n");
    for (int k = 0; k < p->w->kinds; k++) {
        char a[16], b[16], n[32];
        sl_find f[2];
        int found = sl_find_kinds(p->w, k, -1, 2, f);
        for (int i = 0; i < found; i++)
            sl_buffer_printf(p->out, "%-12s %11s %6d %7d %8s %7s %6.1f\n", i ? "" : sl_kind_names[k],
                             i ? "" : grouped(sl_census_kind_rows(p->w->census, k), n), p->w->layer[f[i].layer].layer, f[i].expert,
                             percent(f[i].share.share, a), percent(f[i].usual, b), f[i].share.share / f[i].usual);
    }
    remark(p, "takes: share of the kind's tokens that the expert gets; of all: of all tokens");
}

/* --- pairs and paths --- */

static void put_pairs(const page *p) {
    sl_find f[MOST_FINDS];
    char a[16], b[16], n[32];
    int count = sl_find_pairs(p->w, -1, -1, (int)p->v->s->top, f);
    heading(p, "Co-activation: experts that run for the same tokens");
    if (p->w->used < 2) {
        sl_buffer_puts(p->out, "none: a token has one expert\n");
        return;
    }
    sl_buffer_puts(p->out, "layer  expert  with    tokens  of the first's  of all  times\n");
    for (int i = 0; i < count; i++)
        sl_buffer_printf(p->out, "%5d %7d %5d %9s %15s %7s %6.1f\n", p->w->layer[f[i].layer].layer, f[i].expert, f[i].other,
                         grouped(f[i].share.hits, n),
                         percent(f[i].share.share, a), percent(f[i].usual, b), f[i].share.share / f[i].usual);
    sl_buffer_printf(p->out, "%sby chance %s of the first's, and %.2f times: different experts, so below 1%s\n", begin(p, DIM),
                     percent(sl_chance_partner(p->w->experts, p->w->used), a), sl_chance_pair_lift(p->w->experts, p->w->used), begin(p, PLAIN));
}

static void put_paths(const page *p) {
    sl_find f[MOST_FINDS];
    char a[16], b[16], n[32];
    int count = sl_find_paths(p->w, -1, -1, (int)p->v->s->top, f);
    heading(p, "Paths: experts that follow on each other in the next layer that routes");
    if (p->w->layers < 2) {
        sl_buffer_puts(p->out, "none: one layer routes\n");
        return;
    }
    sl_buffer_puts(p->out, "layer  expert   to layer  expert    tokens  of the first's  of all  times\n");
    for (int i = 0; i < count; i++)
        sl_buffer_printf(p->out, "%5d %7d %10d %7d %9s %15s %7s %6.1f\n", p->w->layer[f[i].layer].layer, f[i].expert,
                         p->w->layer[f[i].layer + 1].layer,
                         f[i].other, grouped(f[i].share.hits, n), percent(f[i].share.share, a), percent(f[i].usual, b),
                         f[i].share.share / f[i].usual);
    sl_buffer_printf(p->out, "%sby chance %s%s\n", begin(p, DIM), percent(sl_chance_row(p->w->experts, p->w->used), a), begin(p, PLAIN));
}

void sl_survey_text(const sl_survey *v, const sl_text_style *style, sl_buffer *out) {
    page p = {v, v->views, style, out};
    put_head(&p);
    put_layers(&p);
    put_map(&p);
    put_dead(&p);
    put_domains(&p);
    put_tokens(&p);
    put_kinds(&p);
    put_pairs(&p);
    put_paths(&p);
}

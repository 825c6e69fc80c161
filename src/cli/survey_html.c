#include "cli/survey.h"

#include "cli/html.h"
#include "cli/kinds.h"
#include "cli/words.h"

#include <math.h>
#include <string.h>

/* The survey as one page: tables whose cells are coloured, and nothing that a browser would have to fetch or run. A colour says how
 * many times the chance value a number is, on one scale throughout; the number stands in the cell, so that the page can be
 * read without colours, by a screen reader too. Its size is bounded: maps of more cells than CELLS show fewer layers, and
 * maps of pairs of more than PAIRED experts the most telling ones. */

enum {
    CELLS = 30000,    /* of the maps of one section */
    PAIRED = 32,      /* experts of a map of pairs */
    LISTED = 12,      /* layers whose experts' tokens are listed, */
    LISTED_EXPERTS = 1024, /* … and of how many experts, about */
    MOST_FINDS = 100,
};

typedef struct page {
    sl_html h;
    const sl_survey *v;
    const sl_views *w;
} page;

/* Most of what is written comes through these. */
#define put(p, text) sl_html_put(&(p)->h, text)
#define putf(p, ...) sl_buffer_printf(&(p)->h.out, __VA_ARGS__)

static void put_token(page *p, int place) {
    sl_buffer token = {0};
    sl_survey_token(p->v, place, 24, true, &token);
    put(p, "<code><bdi>");
    sl_html_escaped(&p->h, token.data, token.len);
    put(p, "</bdi></code>");
    sl_buffer_done(&token);
}

static const char *domain_name(const page *p, int d) { return p->v->corpus->domain[d].name; }

static void say_chosen(page *p, int n) {
    int all[SL_MAX_LAYERS], of = sl_view_layers(p->w, SL_MAX_LAYERS, all);
    if (n < of) putf(p, "<p class=\"dim\">%d of %d layers: with <code>--layer</code> the page has those that you name.</p>\n", n, of);
}

/* --- sections --- */

static void put_head(page *p) {
    const sl_model *m = p->v->model;
    put(p, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"><meta name=\"generator\" content=\"sluice experts\"><title>Experts of ");
    sl_buffer plain = {0};
    sl_words_line(m->name, &plain);
    sl_html_escaped(&p->h, plain.data, plain.len);
    sl_buffer_done(&plain);
    putf(p, "</title><style>%s</style></head>\n<body><main><h1>What the experts of ", sl_html_style);
    sl_html_text(&p->h, m->name);
    putf(p, " do</h1>\n<p>This language model is a mixture of experts (%s). In each of its %d layers that route, a router sends every token "
            "to %d of %d small networks, the experts%s. Here ",
         m->family->name, p->w->layers, p->w->used, p->w->experts, m->hp.shared_ff ? ", and through one that all share" : "");
    sl_html_count(&p->h, p->w->rows);
    put(p, " tokens of the texts below were run through it, and what the router chose was counted. A token is a word or a part of one, as "
           "the model reads it.</p>\n<p>Shares mean little alone: a router that chose blindly would send every expert <strong>");
    sl_html_percent(&p->h, sl_chance_row(p->w->experts, p->w->used));
    put(p, "</strong> of anything. So each number stands beside what chance would give, and colours show how far it is from that. That an expert "
           "takes most of some text does not mean that it knows its subject: experts often go by single tokens, punctuation or "
           "language rather than by topic.</p>\n");
    if (!p->v->complete) put(p, "<p><strong>The run was interrupted: these are the tokens until then.</strong></p>\n");
    put(p, "<nav aria-label=\"Sections\"><ul><li><a href=\"#texts\">Texts</a></li><li><a href=\"#depth\">Layers</a></li><li><a href=\"#load\">Load</a></li><li><a "
           "href=\"#domains\">Domains</a></li><li><a href=\"#tokens\">Tokens</a></li><li><a href=\"#kinds\">Kinds of tokens</a></li><li><a "
           "href=\"#pairs\">Co-activation</a></li><li><a href=\"#paths\">Paths</a></li><li><a href=\"#notes\">How it was counted</a></li></ul></nav>\n");
}

static void put_texts(page *p) {
    sl_html_section(&p->h, "texts", "Texts", "Each domain is a file or a folder. How often the model predicts the next token says how well it knows such text.");
    sl_html_table(&p->h, "Texts", "");
    put(p, "<thead><tr><th scope=\"col\" class=\"l\">domain</th><th scope=\"col\">tokens</th><th scope=\"col\">next token predicted right</th><th "
           "scope=\"col\" class=\"l\">files</th></tr></thead><tbody>\n");
    for (int d = 0; d < p->w->domains; d++) {
        const sl_domain *domain = &p->v->corpus->domain[d];
        put(p, "<tr><th scope=\"row\">");
        sl_html_text(&p->h, domain->name);
        put(p, "</th><td>");
        sl_html_count(&p->h, p->w->domain_rows[d]);
        put(p, domain->more ? " <small>and more</small></td><td>" : "</td><td>");
        sl_html_percent(&p->h, p->v->followed[d] ? (double)p->v->right[d] / (double)p->v->followed[d] : NAN);
        put(p, "</td><td class=\"l\">");
        for (int i = 0; i < domain->files && i < 3; i++) {
            put(p, i ? ", " : "");
            sl_html_text(&p->h, domain->file[i]);
        }
        if (domain->files > 3) putf(p, " and %d more", domain->files - 3);
        put(p, "</td></tr>\n");
    }
    put(p, "</tbody>");
    sl_html_table_end(&p->h);
    sl_html_section_end(&p->h);
}

static void put_depth_row(page *p, const sl_layer_view *l) {
    putf(p, "<tr><th scope=\"row\">%d</th><td>%.2f</td><td>%.2f</td><td>%.3f</td><td>%.3f</td><td>%d</td><td>", l->layer, l->load.max_over_mean,
         l->load.balancedness, l->load.jain, l->load.entropy, p->w->experts - l->load.active);
    sl_html_decimal(&p->h, l->js_between, 3);
    put(p, "</td><td>");
    sl_html_decimal(&p->h, l->js_within, 3);
    put(p, "</td>");
    for (int side = 0; side < SL_CENSUS_SIDES; side++) {
        put(p, "<td>");
        sl_html_percent(&p->h, l->vocabulary[side].score);
        put(p, " <small>(");
        sl_html_percent(&p->h, l->vocabulary[side].chance);
        put(p, ")</small></td>");
    }
    put(p, "<td>");
    sl_html_percent(&p->h, l->leads ? l->path.hit : NAN);
    put(p, " <small>(");
    sl_html_percent(&p->h, l->leads ? l->path.hot : NAN);
    put(p, ")</small></td><td>");
    sl_html_decimal(&p->h, l->leads ? l->path.entropy : NAN, 2);
    put(p, "</td></tr>\n");
}

static void put_depth(page *p) {
    int at[SL_MAX_LAYERS], n = sl_view_layers(p->w, SL_MAX_LAYERS, at);
    sl_html_section(&p->h, "depth", "Layers", "How evenly the experts of each layer are used, and how the router&rsquo;s choice changes with depth: whether it goes by domain, by "
                                        "token, or by what the layer before chose.");
    sl_html_table(&p->h, "Layers", "");
    put(p, "<caption>Max/mean: the busiest expert&rsquo;s load over an even one; balancedness is its inverse. Jain and entropy are 1 for even loads. Dead: "
           "experts that nothing was sent to. Domains: Jensen-Shannon divergence, in bits, of the experts&rsquo; shares, between domains and, as what it is without a "
           "difference of domain, between a domain&rsquo;s halves. Tokens: share of a token&rsquo;s occurrences that its favourite expert takes, by the token itself, "
           "by the one that the model predicts and by the one that follows; in brackets what experts that take tokens blindly, at their load, give. Next layer: share of its "
           "choice that can be guessed from one expert of this layer; in brackets without knowing it. Path entropy: 1 if nothing can be guessed.</caption>"
           "<thead><tr><th scope=\"col\" class=\"l\">layer</th><th scope=\"col\">max/mean</th><th scope=\"col\">balancedness</th><th scope=\"col\">Jain</th><th "
           "scope=\"col\">entropy</th><th scope=\"col\">dead</th><th scope=\"col\">between domains</th><th scope=\"col\">within</th><th scope=\"col\">by token</th><th "
           "scope=\"col\">by prediction</th><th scope=\"col\">by next token</th><th scope=\"col\">next layer</th><th scope=\"col\">path entropy</th></tr></thead><tbody>\n"
           "<tr class=\"chance\"><th scope=\"row\">even</th><td>1</td><td>1</td><td>1</td><td>1</td><td>0</td><td>as within</td><td></td><td>as in ( )</td><td>as in ( )</td><td>as "
           "in ( )</td><td>as in ( )</td><td>1</td></tr>\n");
    for (int i = 0; i < n; i++) put_depth_row(p, &p->w->layer[at[i]]);
    put(p, "</tbody>");
    sl_html_table_end(&p->h);
    sl_html_section_end(&p->h);
}

static void put_load(page *p) {
    int experts = p->w->experts, at[SL_MAX_LAYERS], n = sl_view_layers(p->w, CELLS / experts, at);
    sl_html_section(&p->h, "load", "Load", "Each expert&rsquo;s share of its layer&rsquo;s work, as a multiple of an even share: 1 is fair, 0 is a dead expert.");
    sl_html_legend(&p->h);
    sl_html_table(&p->h, "Load of each expert by layer", sl_html_map(experts));
    put(p, "<caption>Layers from top to bottom, experts from left to right.</caption>");
    sl_html_columns(&p->h, "layer", NULL, experts);
    for (int i = 0; i < n; i++) {
        const sl_layer_view *l = &p->w->layer[at[i]];
        putf(p, "<tr><th scope=\"row\">%d</th>", l->layer);
        for (int e = 0; e < experts; e++)
            sl_html_cell(&p->h, experts > SL_HTML_NUMBERED, l->count[e], NAN, l->load.total ? (double)l->count[e] * experts / (double)l->load.total : 0, e);
        put(p, "</tr>\n");
    }
    put(p, "</tbody>");
    sl_html_table_end(&p->h);
    say_chosen(p, n);
    sl_html_section_end(&p->h);
}

static void put_distances(page *p) {
    int n = p->w->domains < 40 ? p->w->domains : 40;
    sl_html_table(&p->h, "Divergence between domains", "map");
    put(p, "<caption>How differently two domains use the experts: Jensen-Shannon divergence in bits, mean over layers, 0 to 1. On the diagonal: between "
           "two halves of the same domain, which is what no difference looks like.</caption><thead><tr><td></td>");
    for (int d = 0; d < n; d++) {
        put(p, "<th scope=\"col\">");
        sl_html_text(&p->h, domain_name(p, d));
        put(p, "</th>");
    }
    put(p, "</tr></thead><tbody>\n");
    for (int i = 0; i < n; i++) {
        put(p, "<tr><th scope=\"row\">");
        sl_html_text(&p->h, domain_name(p, i));
        put(p, "</th>");
        for (int j = 0; j < n; j++) {
            double js = sl_view_mean_js(p->w, i, j);
            putf(p, "<td class=\"%s\">", js < 0.02 ? "d3" : js < 0.2 ? "d4" : js < 0.5 ? "d5" : "d6");
            sl_html_decimal(&p->h, js, 3);
            put(p, "</td>");
        }
        put(p, "</tr>\n");
    }
    put(p, "</tbody>");
    sl_html_table_end(&p->h);
}

/* One row a domain or a kind, for one layer. */
static void put_rows(page *p, int layer, bool kinds) {
    int experts = p->w->experts, rows = kinds ? p->w->kinds : p->w->domains;
    uint64_t hits[SL_MAX_EXPERTS];
    sl_html_table(&p->h, kinds ? "Kinds of tokens by expert" : "Domains by expert", sl_html_map(experts));
    putf(p, "<caption>Layer %d</caption>", p->w->layer[layer].layer);
    sl_html_columns(&p->h, kinds ? "kind" : "domain", NULL, experts);
    for (int r = 0; r < rows; r++) {
        uint64_t all = kinds ? sl_census_kind_rows(p->w->census, r) : p->w->domain_rows[r];
        if (!all) continue;
        if (kinds) memcpy(hits, sl_census_kind(p->w->census, r, layer), (size_t)experts * sizeof *hits);
        else sl_view_domain(p->w, r, layer, hits);
        put(p, "<tr><th scope=\"row\">");
        sl_html_text(&p->h, kinds ? sl_kind_names[r] : domain_name(p, r));
        put(p, "</th>");
        for (int e = 0; e < experts; e++) {
            double usual = kinds ? (double)p->w->layer[layer].count[e] / (double)p->w->rows : sl_chance_row(experts, p->w->used);
            double share = (double)hits[e] / (double)all;
            sl_html_cell(&p->h, experts > SL_HTML_NUMBERED, hits[e], share, usual > 0 ? share / usual : 0, e);
        }
        put(p, "</tr>\n");
    }
    put(p, "</tbody>");
    sl_html_table_end(&p->h);
}

static void put_row_maps(page *p, bool kinds) {
    int rows = kinds ? p->w->kinds : p->w->domains, at[SL_MAX_LAYERS], n = sl_view_layers(p->w, CELLS / (rows * p->w->experts), at);
    for (int i = 0; i < n; i++) put_rows(p, at[i], kinds);
    say_chosen(p, n);
}

/* The end of a row of a table of what stands out. */
static void put_share_cells(page *p, const sl_find *f) {
    put(p, "<td>");
    sl_html_count(&p->h, f->share.hits);
    put(p, " of ");
    sl_html_count(&p->h, f->share.n);
    put(p, "</td><td>");
    sl_html_percent(&p->h, f->share.share);
    put(p, " <small>(");
    sl_html_percent(&p->h, f->share.low);
    put(p, " to ");
    sl_html_percent(&p->h, f->share.high);
    put(p, ")</small></td><td>");
    sl_html_percent(&p->h, f->usual);
    putf(p, "</td><td>%.1f</td></tr>\n", f->share.share / f->usual);
}

static void put_domain_finds(page *p) {
    sl_find f[MOST_FINDS];
    sl_html_table(&p->h, "Experts that each domain uses most", "");
    putf(p, "<caption>The experts that each domain uses most beyond %s, in all layers, by the lower bound of the 95&nbsp;%% interval.</caption><thead><tr><th scope=\"col\" "
            "class=\"l\">domain</th><th scope=\"col\">layer</th><th scope=\"col\">expert</th><th scope=\"col\">tokens</th><th scope=\"col\">share of the domain</th><th "
            "scope=\"col\">%s</th><th scope=\"col\">times</th></tr></thead><tbody>\n",
         p->w->domains > 1 ? "its average over the domains" : "chance", p->w->domains > 1 ? "mean over domains" : "by chance");
    for (int d = 0; d < p->w->domains; d++) {
        int n = sl_find_domains(p->w, d, -1, (int)p->v->s->top, f);
        for (int i = 0; i < n; i++) {
            put(p, "<tr><th scope=\"row\">");
            sl_html_text(&p->h, domain_name(p, d));
            putf(p, "</th><td>%d</td><td>%d</td>", p->w->layer[f[i].layer].layer, f[i].expert);
            put_share_cells(p, &f[i]);
        }
    }
    put(p, "</tbody>");
    sl_html_table_end(&p->h);
}

static void put_domains(page *p) {
    sl_html_section(&p->h, "domains", "Domains", "Where a domain&rsquo;s tokens go: the share of them that runs through each expert.");
    if (p->w->domains > 1) put_distances(p);
    put_domain_finds(p);
    sl_html_legend(&p->h);
    put_row_maps(p, false);
    sl_html_section_end(&p->h);
}

static void put_token_cell(page *p, sl_census_side side, int layer, int expert) {
    sl_find f[MOST_FINDS];
    int n = sl_find_tokens(p->w, side, layer, expert, (int)p->v->s->top, f);
    put(p, "<td class=\"tokens\">");
    for (int i = 0; i < n; i++) {
        put(p, "<span>");
        put_token(p, f[i].other);
        putf(p, " %.0f&nbsp;%% <small>(%.0f&ndash;%.0f) of %llu</small></span> ", f[i].share.share * 100, f[i].share.low * 100, f[i].share.high * 100,
             (unsigned long long)f[i].share.n);
    }
    put(p, n ? "</td>" : "<span class=\"dim\">none</span></td>");
}

static void put_tokens(page *p) {
    int most = LISTED_EXPERTS / p->w->experts, at[SL_MAX_LAYERS], n = sl_view_layers(p->w, most < LISTED ? most : LISTED, at);
    sl_html_section(&p->h, "tokens", "Tokens", "The tokens that each expert takes most: which share of their occurrences runs through it, with the 95&nbsp;% interval (Wilson) "
                                         "and how often they occur. Quotes show the blanks that belong to a token.");
    putf(p, "<p>By chance ");
    sl_html_percent(&p->h, sl_chance_row(p->w->experts, p->w->used));
    putf(p, ". Tokens with %llu occurrences or more, which are ", (unsigned long long)p->w->least);
    sl_html_percent(&p->h, p->v->covered[SL_CENSUS_INPUT]);
    put(p, " of the text; the best lower bound first.</p>\n");
    for (int i = 0; i < n; i++) {
        putf(p, "<details%s><summary>Layer %d</summary>", i ? "" : " open", p->w->layer[at[i]].layer);
        sl_html_table(&p->h, "Tokens of the experts of a layer", "");
        put(p, "<thead><tr><th scope=\"col\" class=\"l\">expert</th><th scope=\"col\">load</th><th scope=\"col\" class=\"l\">the token itself</th><th scope=\"col\" "
               "class=\"l\">the token that the model predicts</th><th scope=\"col\" class=\"l\">the token that follows</th></tr></thead><tbody>\n");
        for (int e = 0; e < p->w->experts; e++) {
            const sl_layer_view *l = &p->w->layer[at[i]];
            putf(p, "<tr><th scope=\"row\">%d</th><td>%.2f</td>", e, l->load.total ? (double)l->count[e] * p->w->experts / (double)l->load.total : 0);
            for (int side = 0; side < SL_CENSUS_SIDES; side++) put_token_cell(p, (sl_census_side)side, at[i], e);
            put(p, "</tr>\n");
        }
        put(p, "</tbody>");
        sl_html_table_end(&p->h);
        put(p, "</details>\n");
        sl_html_flush(&p->h);
    }
    say_chosen(p, n);
    sl_html_section_end(&p->h);
}

static void put_kinds(page *p) {
    sl_html_section(&p->h, "kinds", "Kinds of tokens", "The share of each kind of token that runs through each expert, coloured against the expert&rsquo;s share of all tokens. Kinds are told by a "
                                                 "token&rsquo;s characters alone.");
    sl_html_legend(&p->h);
    put_row_maps(p, true);
    sl_html_section_end(&p->h);
}

/* --- pairs and paths: maps of experts by experts --- */

/* Which experts a map of pairs shows: all, or those of the strongest finds. */
static int paired(const page *p, int layer, bool paths, int ret[PAIRED]) {
    int n = 0;
    if (p->w->experts <= PAIRED) {
        for (; n < p->w->experts; n++) ret[n] = n;
        return n;
    }
    bool taken[SL_MAX_EXPERTS] = {false};
    sl_find f[MOST_FINDS];
    int found = paths ? sl_find_paths(p->w, layer, -1, MOST_FINDS, f) : sl_find_pairs(p->w, layer, -1, MOST_FINDS, f);
    for (int i = 0; i < found; i++)
        for (int k = 0; k < (paths ? 1 : 2) && n < PAIRED; k++) {
            int e = k ? f[i].other : f[i].expert;
            if (!taken[e]) ret[n++] = e;
            taken[e] = true;
        }
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && ret[j - 1] > ret[j]; j--) {
            int t = ret[j];
            ret[j] = ret[j - 1], ret[j - 1] = t;
        }
    return n;
}

/* Experts of the next layer that the strongest paths from these lead to. */
static int followers(const page *p, int layer, int ret[PAIRED]) {
    int n = 0;
    if (p->w->experts <= PAIRED) {
        for (; n < p->w->experts; n++) ret[n] = n;
        return n;
    }
    sl_find f[MOST_FINDS];
    bool taken[SL_MAX_EXPERTS] = {false};
    int found = sl_find_paths(p->w, layer, -1, MOST_FINDS, f);
    for (int i = 0, count = 0; i < found && count < PAIRED; i++) {
        count += !taken[f[i].other];
        taken[f[i].other] = true;
    }
    for (int e = 0; e < p->w->experts; e++)
        if (taken[e]) ret[n++] = e;
    return n;
}

static void put_square(page *p, int layer, bool paths) {
    int row[PAIRED], column[PAIRED], rows = paired(p, layer, paths, row), columns = paths ? followers(p, layer, column) : paired(p, layer, false, column);
    const uint64_t *count = p->w->layer[layer].count, *other = paths ? p->w->layer[layer + 1].count : count;
    double chance = paths ? 1 : sl_chance_pair_lift(p->w->experts, p->w->used);
    sl_html_table(&p->h, paths ? "Paths to the next layer" : "Experts that run together", "map");
    if (paths) putf(p, "<caption>From the experts of layer %d (rows) to those of layer %d (columns)</caption>", p->w->layer[layer].layer, p->w->layer[layer + 1].layer);
    else putf(p, "<caption>Layer %d: of the tokens of the row&rsquo;s expert, the share that the column&rsquo;s has too</caption>", p->w->layer[layer].layer);
    sl_html_columns(&p->h, "expert", column, columns);
    for (int i = 0; i < rows; i++) {
        putf(p, "<tr><th scope=\"row\">%d</th>", row[i]);
        for (int j = 0; j < columns; j++) {
            if (!paths && row[i] == column[j]) {
                put(p, "<td></td>");
                continue;
            }
            uint32_t hits = paths ? sl_census_path(p->w->census, layer, row[i])[column[j]] : sl_census_pair(p->w->census, layer, row[i], column[j]);
            double share = count[row[i]] ? (double)hits / (double)count[row[i]] : 0, usual = (double)other[column[j]] / (double)p->w->rows;
            sl_html_cell(&p->h, false, hits, share, usual > 0 ? share / usual / chance : 0, column[j]);
        }
        put(p, "</tr>\n");
    }
    put(p, "</tbody>");
    sl_html_table_end(&p->h);
}

static void put_square_finds(page *p, bool paths) {
    sl_find f[MOST_FINDS];
    int n = paths ? sl_find_paths(p->w, -1, -1, (int)p->v->s->top * 2, f) : sl_find_pairs(p->w, -1, -1, (int)p->v->s->top * 2, f);
    sl_html_table(&p->h, paths ? "Strongest paths" : "Strongest pairs", "");
    putf(p, "<caption>The strongest of all layers, by the lower bound of the 95&nbsp;%% interval.</caption><thead><tr><th scope=\"col\" class=\"l\">layer</th><th "
            "scope=\"col\">expert</th><th scope=\"col\">%s</th><th scope=\"col\">tokens</th><th scope=\"col\">share of the first&rsquo;s tokens</th><th scope=\"col\">of all "
            "tokens</th><th scope=\"col\">times</th></tr></thead><tbody>\n",
         paths ? "followed by" : "with");
    for (int i = 0; i < n; i++) {
        putf(p, "<tr><th scope=\"row\">%d</th><td>%d</td><td>%d</td>", p->w->layer[f[i].layer].layer, f[i].expert, f[i].other);
        put_share_cells(p, &f[i]);
    }
    put(p, "</tbody>");
    sl_html_table_end(&p->h);
}

static void put_squares(page *p, bool paths) {
    int side = p->w->experts < PAIRED ? p->w->experts : PAIRED, at[SL_MAX_LAYERS], n = sl_view_layers(p->w, CELLS / (side * side), at), shown = 0;
    if (p->w->experts > PAIRED) putf(p, "<p class=\"dim\">Maps show the experts of the strongest %s; <code>--json</code> has all.</p>\n", paths ? "paths" : "pairs");
    for (int i = 0; i < n; i++) {
        if (paths && !p->w->layer[at[i]].leads) continue;
        putf(p, "<details%s><summary>Layer %d</summary>", shown++ ? "" : " open", p->w->layer[at[i]].layer);
        put_square(p, at[i], paths);
        put(p, "</details>\n");
        sl_html_flush(&p->h);
    }
    say_chosen(p, n);
}

static void put_pairs(page *p) {
    sl_html_section(&p->h, "pairs", "Co-activation", "Experts that run for the same tokens.");
    if (p->w->used < 2) {
        put(p, "<p>None: a token has one expert.</p>\n");
    } else {
        put(p, "<p>By chance an expert shares ");
        sl_html_percent(&p->h, sl_chance_partner(p->w->experts, p->w->used));
        putf(p, " of its tokens with each other one, which is %.2f times the other&rsquo;s share of all tokens: a token&rsquo;s experts are different ones, so this lies below 1.</p>\n",
             sl_chance_pair_lift(p->w->experts, p->w->used));
        put_square_finds(p, false);
        sl_html_legend(&p->h);
        put_squares(p, false);
    }
    sl_html_section_end(&p->h);
}

static void put_paths(page *p) {
    sl_html_section(&p->h, "paths", "Paths", "Which experts of the next layer that routes follow on which: of the tokens of an expert, the share that the next layer sends to each of its "
                                       "experts, coloured against that expert&rsquo;s share of all tokens.");
    if (p->w->layers < 2) {
        put(p, "<p>None: one layer routes.</p>\n");
    } else {
        put_square_finds(p, true);
        sl_html_legend(&p->h);
        put_squares(p, true);
    }
    sl_html_section_end(&p->h);
}

static void put_notes(page *p) {
    const sl_model *m = p->v->model;
    sl_html_section(&p->h, "notes", "How it was counted", "Only the reading of text was counted (prefill), not the writing of it.");
    putf(p, "<ul><li>Each document was cut into sequences of %d tokens, run as the server runs a prompt%s. At most %lld tokens of each domain (0: all).</li>\n", p->v->context,
         p->v->prefix ? "; what begins every sequence was not counted" : "", (long long)p->v->s->tokens);
    putf(p, "<li>Tables of tokens hold the %d most frequent tokens; by the token itself that is ", sl_census_tokens(p->w->census));
    sl_html_percent(&p->h, p->v->covered[SL_CENSUS_INPUT]);
    put(p, " of the text, by the predicted one ");
    sl_html_percent(&p->h, p->v->covered[SL_CENSUS_PREDICTED]);
    put(p, ", by the next one ");
    sl_html_percent(&p->h, p->v->covered[SL_CENSUS_NEXT]);
    put(p, ".</li>\n<li>Intervals take tokens as independent of each other. In real text they are not: neighbours resemble each other, so true intervals are wider.</li>\n"
           "<li>Paths and favourite experts were found in the same text that they are measured on: with few tokens they look stronger than they are.</li>\n<li>Model file: ");
    sl_html_text(&p->h, m->path);
    putf(p, " (%s), kernels %s, keys and values %s.</li></ul>\n", m->type, sl_kernels()->tier, p->v->s->kv_type);
    sl_html_section_end(&p->h);
    put(p, "</main></body></html>\n");
    sl_html_flush(&p->h);
}

bool sl_survey_html(const sl_survey *v, bool (*write)(void *arg, sl_buffer *piece), void *arg) {
    page p = {.h = {.write = write, .arg = arg, .good = true}, .v = v, .w = v->views};
    put_head(&p);
    put_texts(&p);
    put_depth(&p);
    put_load(&p);
    put_domains(&p);
    put_tokens(&p);
    put_kinds(&p);
    put_pairs(&p);
    put_paths(&p);
    put_notes(&p);
    sl_buffer_done(&p.h.out);
    return p.h.good;
}

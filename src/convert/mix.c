/* Which tensor gets which type: the rules of the peers' quantiser (llama.cpp's llama-quantize).
 *
 * A mix whose base type is not made here is refused by name. What is never quantised (vectors, norms, routers) is not asked about here. */
#include "convert/internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define T(name) SL_TYPE_##name
/* One type for everything but, with OUTPUT, the output matrix. */
#define PLAIN(type) .base = T(type), .output = T(type), .v = {.usual = T(type)}, .down = {.usual = T(type)}, .o = T(type), .o_of_eight = T(type)
#define OUTPUT(type) .base = T(type), .output = T(Q6_K), .v = {.usual = T(type)}, .down = {.usual = T(type)}, .o = T(type), .o_of_eight = T(type)
/* The same, and rules for v and down: the usual type, the better one, and where. */
#define MIX(type, v_usual, v_better, v_where, down_usual, down_better, down_where, o_type, o_eight)                              \
    .base = T(type), .output = T(Q6_K), .v = {T(v_usual), T(v_better), SL__##v_where},                                          \
    .down = {T(down_usual), T(down_better), SL__##down_where}, .o = T(o_type), .o_of_eight = T(o_eight)

/* Names as llama-quantize has them; a mix may have two. */
static const sl__mix mixes[] = {
    {"f32", 0, PLAIN(F32)},
    {"f16", 1, PLAIN(F16)},
    {"bf16", 32, PLAIN(BF16)},
    {"q8_0", 7, PLAIN(Q8_0)},
    {"q4_0", 2, MIX(Q4_0, Q4_0, Q4_0, NOWHERE, Q4_0, Q4_1, EIGHTH_KNOWN, Q4_0, Q4_0)},
    {"q4_1", 3, OUTPUT(Q4_1)},
    {"q5_0", 8, MIX(Q5_0, Q5_0, Q5_0, NOWHERE, Q5_0, Q5_1, EIGHTH_KNOWN, Q5_0, Q5_0)},
    {"q5_1", 9, OUTPUT(Q5_1)},
    {"q2_k", 10, MIX(Q2_K, Q3_K, Q4_K, FOUR_HEADS_SHARE, Q3_K, Q3_K, NOWHERE, Q3_K, Q5_K)},
    {"q2_k_s", 21, MIX(Q2_K, Q2_K, Q4_K, FOUR_HEADS_SHARE, Q2_K, Q4_K, FIRST_EIGHTH, Q2_K, Q2_K)},
    {"q3_k_s", 11, MIX(Q3_K, Q3_K, Q3_K, NOWHERE, Q3_K, Q3_K, NOWHERE, Q3_K, Q5_K)},
    {"q3_k_m", 12, MIX(Q3_K, Q4_K, Q5_K, FIRST_TWO, Q4_K, Q5_K, FIRST_SIXTEENTH, Q4_K, Q5_K)},
    {"q3_k", 12, MIX(Q3_K, Q4_K, Q5_K, FIRST_TWO, Q4_K, Q5_K, FIRST_SIXTEENTH, Q4_K, Q5_K)},
    {"q3_k_l", 13, MIX(Q3_K, Q5_K, Q5_K, NOWHERE, Q5_K, Q5_K, NOWHERE, Q5_K, Q3_K)},
    {"q4_k_s", 14, MIX(Q4_K, Q4_K, Q5_K, FIRST_FOUR, Q4_K, Q5_K, FIRST_EIGHTH, Q4_K, Q5_K)},
    {"q4_k_m", 15, MIX(Q4_K, Q4_K, Q6_K, ENDS_AND_THIRDS, Q4_K, Q6_K, ENDS_AND_THIRDS, Q4_K, Q5_K)},
    {"q4_k", 15, MIX(Q4_K, Q4_K, Q6_K, ENDS_AND_THIRDS, Q4_K, Q6_K, ENDS_AND_THIRDS, Q4_K, Q5_K)},
    {"q5_k_s", 16, OUTPUT(Q5_K)},
    {"q5_k_m", 17, MIX(Q5_K, Q5_K, Q6_K, ENDS_AND_THIRDS, Q5_K, Q6_K, ENDS_AND_THIRDS, Q5_K, Q5_K)},
    {"q5_k", 17, MIX(Q5_K, Q5_K, Q6_K, ENDS_AND_THIRDS, Q5_K, Q6_K, ENDS_AND_THIRDS, Q5_K, Q5_K)},
    {"q6_k", 18, OUTPUT(Q6_K)},
    {"iq4_nl", 25, MIX(IQ4_NL, IQ4_NL, Q5_K, FOUR_HEADS_SHARE, IQ4_NL, Q5_K, EIGHTH_UNKNOWN, IQ4_NL, Q5_K)},
    {"iq4_xs", 30, MIX(IQ4_XS, IQ4_XS, Q5_K, FOUR_HEADS_SHARE, IQ4_XS, Q5_K, EIGHTH_UNKNOWN, IQ4_XS, Q5_K)},
    {"mxfp4_moe", 38, PLAIN(MXFP4), .stacked_only = true},
};
enum { MIXES = sizeof mixes / sizeof *mixes };

/* Names that peers know and that need a type which is not made here. */
static const struct {
    const char *name, *needs, *instead;
} unmade[] = {
    {"iq1_s", "IQ1_S", "q2_k"},       {"iq1_m", "IQ1_M", "q2_k"},     {"iq2_xxs", "IQ2_XXS", "q2_k"}, {"iq2_xs", "IQ2_XS", "q2_k"},
    {"iq2_s", "IQ2_S", "q2_k"},       {"iq2_m", "IQ2_S", "q2_k"},     {"iq3_xxs", "IQ3_XXS", "q3_k_s"}, {"iq3_xs", "IQ3_XXS", "q3_k_s"},
    {"iq3_s", "IQ3_S", "q3_k_s"},     {"iq3_m", "IQ3_S", "q3_k_m"},   {"tq1_0", "TQ1_0", "q2_k"},     {"tq2_0", "TQ2_0", "q2_k"},
};

sl_status sl__mix_find(const char *name, const sl__mix **ret, sl_error *e) {
    for (int i = 0; i < MIXES; i++) {
        if (strcasecmp(name, mixes[i].name) != 0) continue;
        *ret = &mixes[i];
        return SL_OK;
    }
    for (size_t i = 0; i < sizeof unmade / sizeof *unmade; i++)
        if (strcasecmp(name, unmade[i].name) == 0)
            return sl_fail_param(e, SL_UNSUPPORTED, "type", "type %s needs %s, which is not made here; take %s", unmade[i].name,
                                 unmade[i].needs, unmade[i].instead);
    char known[256] = "";
    for (int i = 0; i < MIXES; i++) {
        size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", mixes[i].name);
    }
    return sl_fail_param(e, SL_MISUSE, "type", "type \"%.40s\" is not known; known are %s", name, known);
}

static bool stands(sl__where where, const sl_hparams *hp, int layer, bool important) {
    int n = hp->layers;
    switch (where) {
    case SL__FIRST_TWO: return layer < 2;
    case SL__FIRST_FOUR: return layer < 4;
    case SL__FIRST_SIXTEENTH: return layer < n / 16;
    case SL__FIRST_EIGHTH: return layer < n / 8;
    case SL__EIGHTH_KNOWN: return important && layer < n / 8;
    case SL__EIGHTH_UNKNOWN: return !important && layer < n / 8;
    case SL__ENDS_AND_THIRDS: return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
    case SL__FOUR_HEADS_SHARE: return hp->kv_heads[layer] > 0 && hp->heads[layer] / hp->kv_heads[layer] >= 4;
    default: return false;
    }
}

static sl_type choose(sl__choice c, const sl_hparams *hp, sl__placed at) {
    return stands(c.where, hp, at.layer, at.important) ? c.better : c.usual;
}

/* Llama 70B, by its layers: eight heads share a matrix v, which is small beside the rest. */
static bool llama_70b(const sl_hparams *hp) { return hp->layers == 80 && !hp->experts && hp->kv_heads[0] != hp->heads[0]; }

static sl_type rule(const sl__mix *m, const sl_hparams *hp, sl__placed at) {
    bool eight = hp->experts == 8;
    if (m->stacked_only) return at.stacked ? m->base : SL_TYPE_Q8_0;
    switch (at.part) {
    case SL__PART_OUTPUT: return m->output == SL_TYPE_Q6_K && at.cols % 256 ? SL_TYPE_Q8_0 : m->output;
    case SL__PART_V: {
        sl_type t = choose(m->v, hp, at);
        if (eight) return SL_TYPE_Q8_0;
        return llama_70b(hp) && (t == SL_TYPE_Q3_K || t == SL_TYPE_Q4_K) ? SL_TYPE_Q5_K : t;
    }
    case SL__PART_K: return eight ? SL_TYPE_Q8_0 : m->base;
    case SL__PART_O: return eight ? m->o_of_eight : m->o;
    case SL__PART_DOWN: return choose(m->down, hp, at);
    default: return m->base;
    }
}

/* Rows that are no whole blocks of 256 become what has blocks of 32 and is no worse; others F16. */
static sl_type instead_of(sl_type t, int cols) {
    if (cols % 32) return SL_TYPE_F16;
    switch (t) {
    case SL_TYPE_Q2_K:
    case SL_TYPE_Q3_K: return SL_TYPE_Q4_0;
    case SL_TYPE_IQ4_XS: return SL_TYPE_IQ4_NL;
    case SL_TYPE_Q4_K: return SL_TYPE_Q5_0;
    case SL_TYPE_Q5_K: return SL_TYPE_Q5_1;
    default: return SL_TYPE_Q8_0;
    }
}

sl_type sl__mix_type(const sl__mix *m, const sl_hparams *hp, sl__placed at, const char **ret_wanted) {
    bool plain = !sl_types[m->base].quantised || m->base == SL_TYPE_Q8_0;
    sl_type t = plain ? m->base : rule(m, hp, at);
    *ret_wanted = NULL;
    if (at.cols % sl_types[t].block_values == 0) return t;
    *ret_wanted = sl_types[t].name;
    return instead_of(t, at.cols);
}

/* Which tensor gets which type: the rules of the peers' quantiser (llama.cpp's llama-quantize), as far as the types are served.
 *
 * A rule that asks for a type that is not served gets the next better one that is, and the plan says so; a mix whose base type
 * is not served is refused by name. What is never quantised (vectors, norms, routers) is not asked about here. */
#include "convert/internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Names as llama-quantize has them; file_type is general.file_type. Most names are a type for everything and so no mix. */
static const struct mix {
    const char *name;
    sl_type base;
    int file_type;
    sl__more more;
} mixes[] = {
    {"f32", SL_TYPE_F32, 0, SL__MORE_NONE},       {"f16", SL_TYPE_F16, 1, SL__MORE_NONE},
    {"bf16", SL_TYPE_BF16, 32, SL__MORE_NONE},    {"q8_0", SL_TYPE_Q8_0, 7, SL__MORE_NONE},
    {"q4_0", SL_TYPE_Q4_0, 2, SL__MORE_GUARD},    {"q4_1", SL_TYPE_Q4_1, 3, SL__MORE_OUTPUT},
    {"q4_k_s", SL_TYPE_Q4_K, 14, SL__MORE_FEW},   {"q4_k_m", SL_TYPE_Q4_K, 15, SL__MORE_SOME},
    {"q4_k", SL_TYPE_Q4_K, 15, SL__MORE_SOME},    {"q6_k", SL_TYPE_Q6_K, 18, SL__MORE_OUTPUT},
};
enum { MIXES = sizeof mixes / sizeof *mixes };

/* Names that peers know and that need a type which is not served. */
static const struct {
    const char *name, *needs, *instead;
} unserved[] = {
    {"q5_0", "Q5_0", "q6_k or q4_1"},      {"q5_1", "Q5_1", "q6_k"},             {"q5_k", "Q5_K", "q6_k or q4_k_m"},
    {"q5_k_s", "Q5_K", "q6_k or q4_k_m"},  {"q5_k_m", "Q5_K", "q6_k or q4_k_m"}, {"q2_k", "Q2_K", "q4_k_s"},
    {"q2_k_s", "Q2_K", "q4_k_s"},          {"q3_k", "Q3_K", "q4_k_s"},           {"q3_k_s", "Q3_K", "q4_k_s"},
    {"q3_k_m", "Q3_K", "q4_k_s"},          {"q3_k_l", "Q3_K", "q4_k_s"},         {"iq4_nl", "IQ4_NL", "q4_k_s"},
    {"iq4_xs", "IQ4_XS", "q4_k_s"},        {"mxfp4", "MXFP4", "q4_k_s"},         {"mxfp4_moe", "MXFP4", "q4_k_s"},
    {"iq1_s", "IQ1_S", "q4_k_s"},          {"iq1_m", "IQ1_M", "q4_k_s"},         {"iq2_xxs", "IQ2_XXS", "q4_k_s"},
    {"iq2_xs", "IQ2_XS", "q4_k_s"},        {"iq2_s", "IQ2_S", "q4_k_s"},         {"iq2_m", "IQ2_S", "q4_k_s"},
    {"iq3_xxs", "IQ3_XXS", "q4_k_s"},      {"iq3_xs", "IQ3_XXS", "q4_k_s"},      {"iq3_s", "IQ3_S", "q4_k_s"},
    {"iq3_m", "IQ3_S", "q4_k_s"},          {"tq1_0", "TQ1_0", "q4_k_s"},         {"tq2_0", "TQ2_0", "q4_k_s"},
};

sl_status sl__mix_find(const char *name, sl__mix *ret, sl_error *e) {
    for (int i = 0; i < MIXES; i++) {
        if (strcasecmp(name, mixes[i].name) != 0) continue;
        *ret = (sl__mix){mixes[i].base, mixes[i].more, mixes[i].file_type};
        return SL_OK;
    }
    for (size_t i = 0; i < sizeof unserved / sizeof *unserved; i++)
        if (strcasecmp(name, unserved[i].name) == 0)
            return sl_fail_param(e, SL_UNSUPPORTED, "type", "type %s needs %s, which is not served; take %s", unserved[i].name,
                                 unserved[i].needs, unserved[i].instead);
    char known[160] = "";
    for (int i = 0; i < MIXES; i++) {
        size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", mixes[i].name);
    }
    return sl_fail_param(e, SL_MISUSE, "type", "type \"%.40s\" is not known; known are %s", name, known);
}

/* Layers where an error costs more: the first and the last eighth, and every third between them. */
static bool more_bits(int layer, int layers) {
    return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

/* The rules; *ret_wanted names a type that they ask for and that is not served, for which *ret is the next better one. */
static sl_type rule(const sl__mix *m, const sl_hparams *hp, sl__part part, int layer, int cols, bool important,
                    const char **ret_wanted) {
    bool eight = hp->experts == 8, k = m->more == SL__MORE_FEW || m->more == SL__MORE_SOME;
    switch (part) {
    case SL__PART_OUTPUT:
        return cols % 256 ? SL_TYPE_Q8_0 : SL_TYPE_Q6_K;
    case SL__PART_V:
        if (eight) return SL_TYPE_Q8_0;
        if (m->more == SL__MORE_SOME && more_bits(layer, hp->layers)) return SL_TYPE_Q6_K;
        if (m->more == SL__MORE_FEW && layer < 4) break;
        /* Llama 70B, by its layers: eight heads share a matrix v, which is small beside the rest. */
        if (k && hp->layers == 80 && !hp->experts && hp->kv_heads != hp->heads) break;
        return m->base;
    case SL__PART_K:
        return eight ? SL_TYPE_Q8_0 : m->base;
    case SL__PART_O:
        if (eight && k) break;
        return m->base;
    case SL__PART_DOWN:
        if (m->more == SL__MORE_SOME && more_bits(layer, hp->layers)) return SL_TYPE_Q6_K;
        if (m->more == SL__MORE_FEW && layer < hp->layers / 8) break;
        if (m->more == SL__MORE_GUARD && important && layer < hp->layers / 8) return SL_TYPE_Q4_1;
        return m->base;
    default:
        return m->base;
    }
    *ret_wanted = "Q5_K";
    return SL_TYPE_Q6_K;
}

sl_type sl__mix_type(const sl__mix *m, const sl_hparams *hp, sl__part part, int layer, int cols, bool important,
                     const char **ret_wanted) {
    *ret_wanted = NULL;
    sl_type t = m->base;
    if (sl_types[t].quantised && t != SL_TYPE_Q8_0) t = rule(m, hp, part, layer, cols, important, ret_wanted);
    if (cols % sl_types[t].block_values == 0) return t;
    /* Rows that are no whole blocks: peers go from Q4_K to Q5_0 here. */
    if (!*ret_wanted) *ret_wanted = t == SL_TYPE_Q4_K ? "Q5_0" : sl_types[t].name;
    return cols % sl_types[SL_TYPE_Q8_0].block_values == 0 ? SL_TYPE_Q8_0 : SL_TYPE_F16;
}

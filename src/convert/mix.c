/* Which tensor gets which type: the rules of the peers' quantiser (llama.cpp's llama-quantize), as far as the types are made here.
 *
 * A mix whose base type is not made here is refused by name. What is never quantised (vectors, norms, routers) is not asked about here. */
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
    {"q5_0", SL_TYPE_Q5_0, 8, SL__MORE_GUARD},    {"q5_1", SL_TYPE_Q5_1, 9, SL__MORE_OUTPUT},
    {"q4_k_s", SL_TYPE_Q4_K, 14, SL__MORE_FEW},   {"q4_k_m", SL_TYPE_Q4_K, 15, SL__MORE_SOME},
    {"q4_k", SL_TYPE_Q4_K, 15, SL__MORE_SOME},    {"q5_k_s", SL_TYPE_Q5_K, 16, SL__MORE_OUTPUT},
    {"q5_k_m", SL_TYPE_Q5_K, 17, SL__MORE_SOME},  {"q5_k", SL_TYPE_Q5_K, 17, SL__MORE_SOME},
    {"q6_k", SL_TYPE_Q6_K, 18, SL__MORE_OUTPUT},
};
enum { MIXES = sizeof mixes / sizeof *mixes };

/* Names that peers know and that need a type which is not made here. Where it is read, a file in it can be had from a peer's
 * quantiser. */
static const struct {
    const char *name, *needs, *instead;
} unmade[] = {
    {"q2_k", "Q2_K", "q4_k_s"},       {"q2_k_s", "Q2_K", "q4_k_s"},     {"q3_k", "Q3_K", "q4_k_s"},
    {"q3_k_s", "Q3_K", "q4_k_s"},     {"q3_k_m", "Q3_K", "q4_k_s"},     {"q3_k_l", "Q3_K", "q4_k_s"},
    {"iq4_nl", "IQ4_NL", "q4_k_s"},   {"iq4_xs", "IQ4_XS", "q4_k_s"},   {"mxfp4", "MXFP4", "q4_k_s"},
    {"mxfp4_moe", "MXFP4", "q4_k_s"}, {"iq1_s", "IQ1_S", "q4_k_s"},     {"iq1_m", "IQ1_M", "q4_k_s"},
    {"iq2_xxs", "IQ2_XXS", "q4_k_s"}, {"iq2_xs", "IQ2_XS", "q4_k_s"},   {"iq2_s", "IQ2_S", "q4_k_s"},
    {"iq2_m", "IQ2_S", "q4_k_s"},     {"iq3_xxs", "IQ3_XXS", "q4_k_s"}, {"iq3_xs", "IQ3_XXS", "q4_k_s"},
    {"iq3_s", "IQ3_S", "q4_k_s"},     {"iq3_m", "IQ3_S", "q4_k_s"},     {"tq1_0", "TQ1_0", "q4_k_s"},
    {"tq2_0", "TQ2_0", "q4_k_s"},
};

sl_status sl__mix_find(const char *name, sl__mix *ret, sl_error *e) {
    for (int i = 0; i < MIXES; i++) {
        if (strcasecmp(name, mixes[i].name) != 0) continue;
        *ret = (sl__mix){mixes[i].base, mixes[i].more, mixes[i].file_type};
        return SL_OK;
    }
    for (size_t i = 0; i < sizeof unmade / sizeof *unmade; i++)
        if (strcasecmp(name, unmade[i].name) == 0)
            return sl_fail_param(e, SL_UNSUPPORTED, "type", "type %s needs %s, which is not made here; take %s", unmade[i].name,
                                 unmade[i].needs, unmade[i].instead);
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

static sl_type rule(const sl__mix *m, const sl_hparams *hp, sl__part part, int layer, int cols, bool important) {
    bool eight = hp->experts == 8, four = m->base == SL_TYPE_Q4_K;
    switch (part) {
    case SL__PART_OUTPUT:
        return cols % 256 ? SL_TYPE_Q8_0 : SL_TYPE_Q6_K;
    case SL__PART_V:
        if (eight) return SL_TYPE_Q8_0;
        if (m->more == SL__MORE_SOME && more_bits(layer, hp->layers)) return SL_TYPE_Q6_K;
        if (m->more == SL__MORE_FEW && layer < 4) return SL_TYPE_Q5_K;
        /* Llama 70B, by its layers: eight heads share a matrix v, which is small beside the rest. */
        if (four && hp->layers == 80 && !hp->experts && hp->kv_heads != hp->heads) return SL_TYPE_Q5_K;
        return m->base;
    case SL__PART_K:
        return eight ? SL_TYPE_Q8_0 : m->base;
    case SL__PART_O:
        return eight && four ? SL_TYPE_Q5_K : m->base;
    case SL__PART_DOWN:
        if (m->more == SL__MORE_SOME && more_bits(layer, hp->layers)) return SL_TYPE_Q6_K;
        if (m->more == SL__MORE_FEW && layer < hp->layers / 8) return SL_TYPE_Q5_K;
        if (m->more == SL__MORE_GUARD && important && layer < hp->layers / 8)
            return m->base == SL_TYPE_Q4_0 ? SL_TYPE_Q4_1 : SL_TYPE_Q5_1;
        return m->base;
    default:
        return m->base;
    }
}

sl_type sl__mix_type(const sl__mix *m, const sl_hparams *hp, sl__part part, int layer, int cols, bool important,
                     const char **ret_wanted) {
    *ret_wanted = NULL;
    sl_type t = m->base;
    if (sl_types[t].quantised && t != SL_TYPE_Q8_0) t = rule(m, hp, part, layer, cols, important);
    if (cols % sl_types[t].block_values == 0) return t;
    /* Rows that are no whole blocks of 256 become what has blocks of 32 and is no worse; others F16. */
    *ret_wanted = sl_types[t].name;
    if (cols % 32) return SL_TYPE_F16;
    return t == SL_TYPE_Q4_K ? SL_TYPE_Q5_0 : t == SL_TYPE_Q5_K ? SL_TYPE_Q5_1 : SL_TYPE_Q8_0;
}

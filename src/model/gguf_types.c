/* The number formats of GGUF's tensors: ggml's numbers to names and sizes, also of those that Sluice does not read. */
#include "model/internal.h"

#include <inttypes.h>
#include <stdio.h>

/* What files may have and kernels/types.h has not: id, name, values and bytes a block (0: unknown here, as the type was given
 * up by ggml or belongs to a fork). */
static const struct other_type {
    uint32_t id;
    const char *name;
    uint16_t values, bytes;
} other_types[] = {
    {4, "Q4_2", 0, 0},        {5, "Q4_3", 0, 0},        {9, "Q8_1", 32, 36},      {15, "Q8_K", 256, 292},
    {16, "IQ2_XXS", 256, 66}, {17, "IQ2_XS", 256, 74},  {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},
    {21, "IQ3_S", 256, 110},  {22, "IQ2_S", 256, 82},   {24, "I8", 1, 1},         {25, "I16", 1, 2},
    {26, "I32", 1, 4},        {27, "I64", 1, 8},        {28, "F64", 1, 8},        {29, "IQ1_M", 256, 56},
    {31, "Q4_0_4_4", 0, 0},   {32, "Q4_0_4_8", 0, 0},   {33, "Q4_0_8_8", 0, 0},   {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},   {36, "IQ4_NL_4_4", 0, 0}, {37, "IQ4_NL_4_8", 0, 0}, {38, "IQ4_NL_8_8", 0, 0},
    {40, "NVFP4", 64, 36},    {41, "Q1_0", 128, 18},    {42, "Q2_0", 64, 18},
    /* From here on ik_llama.cpp's own. */
    {133, "Q6_0", 32, 26},     {134, "IQ1_BN", 0, 0},     {135, "IQ2_BN", 0, 0},     {137, "IQ2_K", 256, 76},
    {138, "IQ3_K", 256, 110},  {139, "IQ4_K", 256, 144},  {140, "IQ5_K", 256, 176},  {141, "IQ6_K", 256, 212},
    {144, "IQ4_KS", 0, 0},     {145, "IQ2_KS", 0, 0},     {146, "IQ4_KSS", 0, 0},    {152, "IQ5_KS", 0, 0},
    {153, "IQ2_KT", 0, 0},     {154, "IQ3_KT", 0, 0},     {155, "IQ4_KT", 0, 0},     {156, "IQ3_KS", 0, 0},
    {157, "IQ2_KL", 0, 0},     {158, "IQ1_KT", 0, 0},     {202, "Q4_0_R8", 0, 0},    {206, "Q5_0_R4", 0, 0},
    {210, "Q2_K_R4", 0, 0},    {211, "Q3_K_R4", 0, 0},    {212, "Q4_K_R4", 0, 0},    {213, "Q5_K_R4", 0, 0},
    {218, "IQ3_XXS_R4", 0, 0}, {220, "IQ4_NL_R4", 0, 0},  {221, "IQ3_S_R4", 0, 0},   {223, "IQ4_XS_R8", 0, 0},
    {233, "Q6_0_R4", 0, 0},    {338, "IQ3_K_R4", 0, 0},   {339, "IQ4_K_R4", 0, 0},   {340, "IQ5_K_R4", 0, 0},
    {344, "IQ4_KS_R4", 0, 0},  {352, "IQ5_KS_R4", 0, 0},
};

#define FIRST_OF_FORKS 97
#define LAST_OF_FORKS 400

static bool given_up(uint32_t id) {
    return id == 4 || id == 5 || (id >= 31 && id <= 33) || (id >= 36 && id <= 38);
}

bool sl__gguf_tensor_type(sl__tensor *t, uint32_t id, sl_arena *arena, uint64_t *ret_values, uint64_t *ret_bytes) {
    char text[48];
    t->type_id = id;
    t->type = sl_type_from_ggml(id);
    if (t->type >= 0) {
        t->type_name = sl_types[t->type].name;
        *ret_values = (uint64_t)sl_types[t->type].block_values;
        *ret_bytes = (uint64_t)sl_types[t->type].block_bytes;
        return true;
    }
    *ret_values = *ret_bytes = 0;
    for (size_t i = 0; i < sizeof other_types / sizeof *other_types; i++) {
        if (other_types[i].id != id) continue;
        t->type_name = other_types[i].name;
        *ret_values = other_types[i].values;
        *ret_bytes = other_types[i].bytes;
        return true;
    }
    t->type_name = sl_arena_copy(arena, SL_MEM_METADATA, text, (size_t)snprintf(text, sizeof text, "ggml type %" PRIu32, id));
    return t->type_name != NULL;
}

const char *sl__gguf_type_remark(uint32_t id) {
    if (given_up(id)) return ", which ggml itself has given up";
    if (id >= FIRST_OF_FORKS && id < LAST_OF_FORKS) return ", ik_llama.cpp's own";
    return "";
}

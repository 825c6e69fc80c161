/* Look-ups over the rows. */
#include "families/internal.h"

#include <stddef.h>
#include <string.h>

static const sl_family *const families[] = {
#define X(name) &sl__family_##name,
    SL_FAMILY_LIST(X)
#undef X
};

const sl_family *sl_family_at(int i) {
    return i >= 0 && (size_t)i < sizeof families / sizeof *families ? families[i] : NULL;
}

int sl_router_score_code(sl_router_score score) {
    static const int codes[] = {[SL_ROUTER_SOFTMAX] = 1, [SL_ROUTER_SIGMOID] = 2, [SL_ROUTER_LOGIT] = 3, [SL_ROUTER_SPARSEMIXER] = 1};
    return codes[score];
}

static bool is_arch(const sl_family *f, const char *arch) {
    return (f->gguf_arch && strcmp(f->gguf_arch, arch) == 0) || (f->gguf_arch_too && strcmp(f->gguf_arch_too, arch) == 0);
}

const sl_family *sl_family_by_gguf(const char *arch, bool routed) {
    const sl_family *f;
    for (int i = 0; (f = sl_family_at(i)) != NULL; i++)
        if ((f->routed == routed || f->hf_routed_key) && is_arch(f, arch)) return f;
    return NULL;
}

const sl_family *sl_family_by_hf(const char *model_type) {
    const sl_family *f;
    for (int i = 0; (f = sl_family_at(i)) != NULL; i++)
        if (strcmp(f->hf_type, model_type) == 0) return f;
    return NULL;
}

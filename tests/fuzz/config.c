/* config.json's text. */
#include "model/internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const sl_family *family;
    sl_hparams hp;
    sl__declared declared;
    sl_notes notes = {.count = 0};
    sl_error e;
    if (sl__config_parse((const char *)data, size, "config.json", &family, &hp, &declared, &notes, &e) != SL_OK) return 0;
    if (hp.layers > SL_MAX_LAYERS || hp.experts_used > hp.experts) abort();
    for (int i = 0; i < hp.layers; i++)
        if (hp.mixer[i] == SL_MIXER_ATTENTION &&
            (hp.heads[i] % hp.kv_heads[i] || (!hp.unrotated[i] && sl_rope_dims(&hp, i) > hp.head_dim[i])))
            abort();
    return 0;
}

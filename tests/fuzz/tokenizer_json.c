/* A tokenizer.json; what follows a line "---" is a tokenizer_config.json, after the next one a text to encode. */
#include "text_use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *part[3] = {(const char *)data, "", "The caf\u00e9's 12345  \xff\n\t<s> \u4f60\u597d <|endoftext|>"};
    size_t len[3] = {size, 0, strlen(part[2])};
    for (int i = 0; i < 2; i++) {
        const char *cut = len[i] ? memmem(part[i], len[i], "\n---\n", 5) : NULL;
        if (!cut) break;
        part[i + 1] = cut + 5;
        len[i + 1] = (size_t)(part[i] + len[i] - part[i + 1]);
        len[i] = (size_t)(cut - part[i]);
    }
    sl_vocab_source v = {.tokenizer_json = part[0], .tokenizer_json_len = len[0], .tokenizer_config_json = len[1] ? part[1] : NULL,
                     .tokenizer_config_json_len = len[1], .origin = "fuzz", .rows = 4096};
    sl_tokenizer *t = NULL;
    sl_error e = {0};
    if (sl_tokenizer_open(&v, &t, &e) != SL_OK) {
        must(!t && e.message[0]);
        return 0;
    }
    use_tokenizer(t, part[2], len[2] < 2000 ? len[2] : 2000);
    sl_tokenizer_free(t);
    return 0;
}

/* list.h: every family, in the order in which messages and inspect list them.
 * Constant; any thread. */
#define SL_FAMILY_LIST(X)                                                                                              \
    X(llama)                                                                                                           \
    X(mistral)                                                                                                         \
    X(qwen3)                                                                                                           \
    X(mixtral)                                                                                                         \
    X(olmoe)                                                                                                           \
    X(qwen2_moe)                                                                                                       \
    X(qwen3_moe)                                                                                                       \
    X(glm4_moe)                                                                                                        \
    X(dots1)                                                                                                           \
    X(minimax_m2)                                                                                                      \
    X(solar_open)

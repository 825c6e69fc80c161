#include "api/internal.h"

/* Every endpoint, one row each. */
static const sl_http_endpoint endpoints[] = {
    {"POST", "/v1/completions", 0, sl__completions_post},
    {"GET", "/v1/models", 0, sl__models_list},
    {"GET", "/v1/models/*", 0, sl__models_get},
    {"POST", "/tokenize", 0, sl__tokenize_post},
    {"POST", "/detokenize", 0, sl__detokenize_post},
    {"GET", "/tokenizer_info", 0, sl__tokenizer_info_get},
    {"GET", "/version", 0, sl__version_get},
    {"GET", "/livez", SL_HTTP_PUBLIC, sl__livez_get},
    {"GET", "/readyz", SL_HTTP_PUBLIC, sl__readyz_get},
    {"GET", "/health", SL_HTTP_PUBLIC, sl__health_get},
    {"GET", "/v1/health", SL_HTTP_PUBLIC, sl__health_get}, /* for clients whose base URL ends in /v1 */
    {"GET", "/ping", SL_HTTP_PUBLIC, sl__health_get},      /* vLLM's other name for it */
    {"GET", "/metrics", SL_HTTP_ADMIN, sl__metrics_get},
    {"GET", "/metrics/experts", SL_HTTP_ADMIN, sl__metrics_experts_get},
};

const sl_http_endpoint *sl_api_endpoints(int *ret_count) {
    *ret_count = sizeof endpoints / sizeof endpoints[0];
    return endpoints;
}

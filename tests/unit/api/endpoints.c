#include "api/endpoints.h"

#include <string.h>

#include "../run.h"

START_TEST(table) {
    int count;
    const sl_http_endpoint *p = sl_api_endpoints(&count);
    for (int i = 0; i < count; i++) {
        ck_assert(!strcmp(p[i].method, "GET") || !strcmp(p[i].method, "POST"));
        ck_assert(p[i].path[0] == '/' && p[i].handle);
        for (int j = 0; j < i; j++) ck_assert(strcmp(p[i].path, p[j].path) != 0 || strcmp(p[i].method, p[j].method) != 0);
        bool probe = !strcmp(p[i].path, "/livez") || !strcmp(p[i].path, "/readyz") || !strcmp(p[i].path, "/health") ||
                     !strcmp(p[i].path, "/v1/health") || !strcmp(p[i].path, "/ping");
        bool metrics = !strncmp(p[i].path, "/metrics", 8); /* routing tells about content */
        ck_assert_msg(p[i].flags == (probe ? SL_HTTP_PUBLIC : metrics ? SL_HTTP_ADMIN : 0u), "%s", p[i].path);
    }
}
END_TEST

int main(void) { return RUN_TESTS("api/endpoints", 10, table); }

/* Command lines: any words, one a line of the input. Nothing may crash, leak, print or exit; what is refused
 * has a message. */
#include "cli/cli.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { WORDS = 24, BYTES = 2048 };
    char text[BYTES + 1], program[] = "trimine", *words[WORDS + 2] = {program};
    int count = 1;
    if (size > BYTES)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    char *rest = text;
    for (char *word = strsep(&rest, "\n"); word != NULL && count <= WORDS; word = strsep(&rest, "\n"))
        words[count++] = word;
    trm_cli cli;
    trm_error err = TRM_ERROR_INIT;
    const trm_status status = trm_cli_parse(count, words, &cli, &err);
    if (status != TRM_OK && (err.status != status || err.text[0] == '\0'))
        abort();
    if (status == TRM_OK && cli.command == NULL)
        abort();
    trm_cli_free(&cli);
    return 0;
}

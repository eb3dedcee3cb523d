/* Files of pairs and other lists of row ids: headers of .npy files and texts, any bytes. What is read in parts has to be
 * what is read at once. */
#include "store/npy.h"
#include "store/text_scan.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_header(const trm_named_file *about, int file, const char *bytes, int64_t count)
{
    trm_npy array;
    if (trm_npy_parse(bytes, count, &array) == NULL && (array.size < 1 || array.bytes < 0))
        abort();
    if (trm_npy_recognize(bytes, count) && trm_npy_look(about, file, count, &array, NULL) == TRM_OK &&
        array.offset + array.bytes != count)
        abort();
}

static void read_lines(const trm_named_file *about, int64_t count)
{
    trm_text_scan *scan = NULL;
    trm_text_token what = TRM_TEXT_LINE;
    int64_t value = 0, middle = 0, before = 0, behind = 0, all = 0;
    if (trm_text_begin(about, &scan, NULL) != TRM_OK ||
        trm_text_line_start(scan, count / 2, &middle, NULL) != TRM_OK ||
        trm_text_count_lines(scan, 0, middle, &before, NULL) != TRM_OK ||
        trm_text_count_lines(scan, middle, count, &behind, NULL) != TRM_OK)
        abort();
    scan->at = scan->begins;
    while (what != TRM_TEXT_FILE) {
        const trm_text_token last = what;
        if (trm_text_next(scan, last == TRM_TEXT_LINE, &what, &value, NULL) != TRM_OK)
            break;
        if (value < 0)
            abort();
    }
    if (what == TRM_TEXT_FILE && scan->line != 1 + before + behind)
        abort();
    if (trm_text_count_lines(scan, 0, count, &all, NULL) != TRM_OK || all != before + behind)
        abort();
    trm_text_end(&scan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    const int file = memfd_create("pairs", MFD_CLOEXEC);
    const trm_named_file about = {"pairs file", path};
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (file < 0 || write(file, data, size) != (ssize_t)size)
        abort();
    read_header(&about, file, (const char *)data, (int64_t)size);
    read_lines(&about, (int64_t)size);
    close(file);
    return 0;
}

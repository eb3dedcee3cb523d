/* Labels in text, CSV and JSON: the first byte chooses the form and the column, the others are the file. What is read from the
 * middle on has to be what is read from the beginning. */
#include "fuzz/file.h"

#include "store/label_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 4096 };

static trm_label_reader *begin(const trm_named_file *about, const trm_label_text *text, int64_t first)
{
    trm_label_reader *reader = NULL;
    if (trm_label_reader_begin(about, text, first, &reader, NULL) != TRM_OK)
        abort();
    return reader;
}

static void read_numbers(const trm_named_file *about, const trm_label_text *text, int64_t rows)
{
    static int64_t all[MOST], half[MOST];
    const int64_t middle = rows / 2;
    trm_label_reader *reader = begin(about, text, 0), *other = begin(about, text, middle);
    if (trm_label_reader_numbers(reader, rows, all, NULL) != TRM_OK ||
        trm_label_reader_numbers(other, rows - middle, half, NULL) != TRM_OK ||
        memcmp(all + middle, half, (size_t)(rows - middle) * sizeof *half) != 0)
        abort();
    trm_label_reader_end(&reader);
    trm_label_reader_end(&other);
}

static void read_names(const trm_named_file *about, const trm_label_text *text, int64_t rows)
{
    static char *all[MOST], *half[MOST];
    const int64_t middle = rows / 2;
    trm_label_reader *reader = begin(about, text, 0), *other = begin(about, text, middle);
    if (trm_label_reader_names(reader, rows, all, NULL) != TRM_OK ||
        trm_label_reader_names(other, rows - middle, half, NULL) != TRM_OK)
        abort();
    for (int64_t i = 0; i < rows; i++)
        if (all[i][0] == '\0' || (i >= middle && strcmp(all[i], half[i - middle]) != 0))
            abort();
    trm_label_reader_end(&reader);
    trm_label_reader_end(&other);
}

/* Looked at for so many rows, it is refused in words, or can be read. */
static int64_t try_rows(const trm_named_file *about, const char *column, int64_t rows)
{
    trm_label_text text;
    trm_error err = TRM_ERROR_INIT;
    const trm_status status = trm_label_text_look(about, column, rows, &text, &err);
    if (status != TRM_OK && (err.status != status || strstr(err.text, about->path) == NULL))
        abort();
    if (status == TRM_OK && rows < MOST) {
        if (text.records - text.heading != rows)
            abort();
        if (text.numbers)
            read_numbers(about, &text, rows);
        read_names(about, &text, rows); /* numbers may be names, too */
    }
    return text.records;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"y.txt", "y.csv", "y.tsv", "y.jsonl"}, *const columns[] = {NULL, "1",
                                                                                                   "2", "a"};
    if (size < 1)
        return 0;
    const int form = data[0] % 4;
    const trm_named_file about = {"labels", fuzz_put(names[form], data + 1, size - 1)};
    const char *column = form == 0 ? NULL : columns[data[0] / 4 % 4];
    const int64_t records = try_rows(&about, column, INT64_C(1) << 40);
    try_rows(&about, column, records);
    if (records > 0)
        try_rows(&about, column, records - 1); /* below a heading */
    return 0;
}

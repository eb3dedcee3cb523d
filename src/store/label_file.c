/* Labels in a file of their own, one for each row of all files of a set; and what else a survey needs (survey.h). */
#include "base/alloc.h"
#include "store/claim.h"
#include "store/first_bytes.h"
#include "store/survey.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int64_t trm_survey_keep(trm_survey *found, const char *lead, const char *text)
{
    int64_t need = (int64_t)(strlen(lead) + strlen(text)) + 1;
    if (found->used + need > found->size) {
        int64_t size = 2 * found->size + need;
        char *larger = trm_grown(found->names, found->used, size, 1);
        if (larger == NULL)
            return -1;
        found->names = larger;
        found->size = size;
    }
    int64_t at = found->used;
    snprintf(found->names + at, (size_t)need, "%s%s", lead, text);
    found->used += need;
    return at;
}

const trm_store_entry *trm_survey_first(const trm_survey *found)
{
    for (int i = 0; i < found->files; i++)
        if (found->entry[i].seen.rows > 0)
            return &found->entry[i];
    return NULL;
}

static bool is_regular(const char *path)
{
    struct stat there;
    return stat(path, &there) == 0 && S_ISREG(there.st_mode);
}

/* A file that is there is one, whatever its name; else names that end as those of files do. */
static trm_status choose_labels(const char *option, trm_label_choice *choice, trm_error *err)
{
    static const char *const ends[] = {".npy", ".txt", ".csv", ".tsv"};
    const char *colon = option == NULL ? NULL : strrchr(option, ':');
    *choice = (trm_label_choice){NULL, NULL};
    if (option == NULL)
        return TRM_OK;
    bool is_file = is_regular(option);
    for (size_t i = 0; i < sizeof ends / sizeof *ends && !is_file; i++)
        is_file = trm_path_ends(option, ends[i]);
    choice->path =
        is_file || colon != NULL
            ? trm_format("%.*s", (int)(is_file ? strlen(option) : (size_t)(colon - option)), option)
            : NULL;
    if (choice->path == NULL)
        return is_file || colon != NULL ? trm_fail_memory(err, "a file name", (int64_t)strlen(option), 1)
                                        : TRM_OK;
    if (is_file)
        return TRM_OK;
    if (trm_label_text_is_csv(choice->path) || is_regular(choice->path)) {
        choice->column = colon + 1;
        return TRM_OK;
    }
    trm_free(choice->path);
    choice->path = NULL;
    return TRM_OK;
}

trm_status trm_label_files_choose(const trm_store_options *options, trm_survey *found,
                                  trm_label_choice choice[TRM_SETS], trm_error *err)
{
    const char *const option[TRM_SETS] = {options->labels, options->query_labels};
    trm_status status = TRM_OK;
    for (int set = 0; set < TRM_SETS && status == TRM_OK && !options->unlabelled; set++) {
        status = choose_labels(option[set], &choice[set], err);
        found->label_file[set].given = choice[set].path != NULL;
    }
    return status;
}

static int64_t rows_of_set(const trm_survey *found, int set)
{
    return set == 0 ? found->base_rows : found->rows - found->base_rows;
}

/* Labels as an array, of which each row is one. */
static trm_status look_at_label_matrix(const trm_named_file *about, int64_t rows, trm_label_file *file,
                                       trm_error *err)
{
    const trm_matrix *matrix = &file->matrix;
    if (matrix->width != 1)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': has %" PRId64 " rows of %" PRId64
                        " values (%s), needs one value a row: write one column of it",
                        about->kind, about->path, matrix->rows, matrix->width, matrix->type);
    if (matrix->rows != rows)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': has %" PRId64 " label%s, for %" PRId64 " rows: needs one for each",
                        about->kind, about->path, matrix->rows, matrix->rows == 1 ? "" : "s", rows);
    file->element = matrix->element;
    memcpy(file->type, matrix->type, sizeof file->type);
    return TRM_OK;
}

/* What is known to be something else than text. */
static trm_status refuse_binary(const trm_named_file *about, trm_error *err)
{
    int file = -1;
    int64_t bytes = 0;
    const trm_status status = trm_inspect_regular(about, &file, &bytes, err);
    if (status != TRM_OK)
        return status;
    const char *other =
        trm_superblock_look(file, bytes).found ? "an HDF5 file" : trm_first_bytes_known(file, bytes);
    close(file);
    return other == NULL
               ? TRM_OK
               : trm_fail(err, TRM_ERR_DATA, "%s '%s': neither a NumPy array (.npy) nor IDX nor text but %s",
                          about->kind, about->path, other);
}

static trm_status look_at_label_text(const trm_named_file *about, const char *column, int64_t rows,
                                     trm_label_file *file, trm_error *err)
{
    trm_status status = refuse_binary(about, err);
    if (status == TRM_OK)
        status = trm_label_text_look(about, column, rows, &file->text, err);
    trm_element *element = &file->element;
    element->class = !file->text.numbers      ? TRM_ELEMENT_VARIABLE
                     : file->text.is_unsigned ? TRM_ELEMENT_UNSIGNED
                                              : TRM_ELEMENT_SIGNED;
    element->size = element->stored = sizeof(int64_t);
    snprintf(file->type, sizeof file->type, "%s",
             !file->text.numbers      ? "strings"
             : file->text.is_unsigned ? "uint64"
                                      : "int64");
    return status;
}

/* What an entry calls its labels: "npy", "text", "column 3". */
static void name_labels(const trm_label_file *file, char name[TRM_SURVEY_NAME])
{
    if (file->matrix.name[0] != '\0')
        snprintf(name, TRM_SURVEY_NAME, "%s", file->matrix.name);
    else if (file->text.csv)
        snprintf(name, TRM_SURVEY_NAME, "column %" PRId64, file->text.column + 1);
    else
        snprintf(name, TRM_SURVEY_NAME, "text");
}

static trm_status look_at_label_file(const trm_label_choice *choice, int set, trm_survey *found,
                                     trm_error *err)
{
    char name[TRM_SURVEY_NAME];
    const trm_named_file about = {"labels", choice->path};
    trm_label_file *file = &found->label_file[set];
    const int64_t rows = rows_of_set(found, set);
    trm_status status = trm_sources_add_input(&found->sources, &about, err);
    if (status == TRM_OK)
        status = trm_matrix_look(&about, &file->matrix, err);
    const bool is_matrix = file->matrix.name[0] != '\0';
    if (status == TRM_OK && is_matrix && choice->column != NULL)
        return trm_fail(err, TRM_ERR_USAGE,
                        "%s '%s': is %s, which has no columns with names: leave out ':%s'", about.kind,
                        about.path, file->matrix.name, choice->column);
    if (status == TRM_OK)
        status = is_matrix ? look_at_label_matrix(&about, rows, file, err)
                           : look_at_label_text(&about, choice->column, rows, file, err);
    if (status != TRM_OK)
        return status;
    name_labels(file, name);
    file->path_at = trm_survey_keep(found, "", choice->path);
    file->name_at = trm_survey_keep(found, "", name);
    return file->path_at >= 0 && file->name_at >= 0 ? TRM_OK
                                                    : trm_fail_memory(err, "file names", found->size, 1);
}

/* Both sets' labels are numbers, or names. Those of a text may be either: they are names where the others are. */
static trm_status check_sorts(trm_survey *found, const trm_named_file *about, trm_error *err)
{
    static const char *const sort[] = {"numbers", "names"};
    const trm_store_entry *base = trm_survey_first(found);
    for (int i = 0; i < found->files; i++) {
        const trm_store_entry *entry = &found->entry[i];
        if (entry->seen.rows == 0 || trm_element_names(&entry->labels) == trm_element_names(&base->labels))
            continue;
        return trm_fail(
            err, TRM_ERR_DATA,
            "%s '%s': labels of '%s' are %s (%s), those of '%s' are %s (%s): make them the same sort",
            about->kind, about->path, found->names + entry->path_at, sort[trm_element_names(&entry->labels)],
            entry->seen.labels_type, found->names + base->path_at, sort[trm_element_names(&base->labels)],
            base->seen.labels_type);
    }
    return TRM_OK;
}

static void turn_into_names(trm_label_file *file)
{
    file->text.numbers = file->text.is_unsigned = false;
    file->element.class = TRM_ELEMENT_VARIABLE;
    snprintf(file->type, sizeof file->type, "strings");
}

static bool has_names(const trm_survey *found)
{
    for (int i = 0; i < found->files; i++)
        if (!found->label_file[found->entry[i].seen.queries].given && found->entry[i].seen.rows > 0 &&
            trm_element_names(&found->entry[i].labels))
            return true;
    for (int set = 0; set < TRM_SETS; set++)
        if (found->label_file[set].given && trm_element_names(&found->label_file[set].element))
            return true;
    return false;
}

trm_status trm_label_files_look(const trm_label_choice choice[TRM_SETS], trm_survey *found, trm_error *err)
{
    trm_named_file last = {"labels", ""};
    trm_status status = TRM_OK;
    for (int set = 0; set < TRM_SETS && status == TRM_OK && !found->lacks_labels; set++)
        if (choice[set].path != NULL && rows_of_set(found, set) > 0) { /* else that is the error */
            last.path = choice[set].path;
            status = look_at_label_file(&choice[set], set, found, err);
        }
    if (status != TRM_OK || last.path[0] == '\0' || found->lacks_labels)
        return status;
    const bool names = has_names(found);
    for (int set = 0; set < TRM_SETS; set++)
        if (found->label_file[set].given && found->label_file[set].text.numbers && names)
            turn_into_names(&found->label_file[set]);
    for (int i = 0; i < found->files; i++) {
        trm_store_entry *entry = &found->entry[i];
        const trm_label_file *file = &found->label_file[entry->seen.queries];
        if (!file->given)
            continue;
        entry->labels = file->element;
        entry->labels_at = file->name_at;
        memcpy(entry->seen.labels_type, file->type, sizeof entry->seen.labels_type);
    }
    return check_sorts(found, &last, err);
}

void trm_label_choices_free(trm_label_choice choice[TRM_SETS])
{
    for (int set = 0; set < TRM_SETS; set++)
        trm_free(choice[set].path);
}

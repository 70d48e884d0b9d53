"""The columns of the files that a class list comes from, by the names that each system gives them."""

from dataclasses import dataclass

from studium_graders.class_list.students import FIELDS
from studium_graders.lms.filling import FORMS, Form

COLUMNS = (*FIELDS, "name")

_MOODLE_IDS = (
    *("id number", "id-nummer", "numéro d'identification", "número de id"),
    *("username", "anmeldename", "nombre de usuario"),
    *("email address", "e-mail-adresse", "adresse de courriel", "dirección de correo", "dirección email"),
)


@dataclass(frozen=True)
class Source:
    """A kind of file. Names of columns are casefolded, and blanks stand for underscores.

    ``ids``: columns that can be the id of a new student, the best first. ``known_by``: columns by which a student
    of the course is recognised. ``name``: the whole name, "Last, First" or not.
    """

    form: Form
    ids: tuple[str, ...]
    known_by: tuple[str, ...]
    first_name: tuple[str, ...] = ()
    last_name: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    email: tuple[str, ...] = ()
    section: tuple[str, ...] = ()
    lms_id: tuple[str, ...] = ()


SOURCES = {
    "canvas": Source(
        FORMS["canvas"],
        ids=("sis login id", "sis user id", "id"),
        known_by=FORMS["canvas"].identifying,
        name=("student",),
        email=("email",),
        section=("section",),
        lms_id=("id",),
    ),
    "moodle": Source(
        FORMS["moodle"],
        ids=_MOODLE_IDS,
        known_by=FORMS["moodle"].identifying,
        first_name=("first name", "vorname", "prénom", "nombre"),
        last_name=("last name", "surname", "nachname", "nom", "nom de famille", "apellido(s)", "apellidos"),
        name=("full name", "vollständiger name", "nom complet", "nombre completo"),
        email=("email address", "e-mail-adresse", "adresse de courriel", "dirección de correo", "dirección email"),
        section=("groups", "group", "gruppen", "gruppe", "groupes", "groupe", "grupos", "grupo"),
    ),
    "csv": Source(
        Form((), ()),
        ids=("id", "student", "user"),
        known_by=("id", "student", "user"),
        first_name=("first name",),
        last_name=("last name",),
        name=("name",),
        email=("email",),
        section=("section",),
        lms_id=("lms user id",),
    ),
}
TEST_STUDENT = "Student, Test"  # Canvas adds it to the export if somebody has used the student view

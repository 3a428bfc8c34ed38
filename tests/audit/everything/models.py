"""Rows of every kind that the ORM knows: keys, relations, inheritance, tables made elsewhere."""

import uuid

from django.contrib.postgres.fields import (
    ArrayField,
    BigIntegerRangeField,
    DateRangeField,
    DateTimeRangeField,
    DecimalRangeField,
    IntegerRangeField,
)
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models.functions import Now

import audit


@audit.track()
class Thing(models.Model):
    """An ordinary row, with a foreign key to its own table."""

    name = models.CharField(max_length=100, unique=True)
    number = models.IntegerField(default=0)
    note = models.TextField(default="", blank=True)
    parent = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="children")


@audit.exempt(reason="Its rows are those of Thing.")
class ThingAlias(Thing):
    """A proxy: its rows are those of Thing."""

    class Meta:
        proxy = True


@audit.track()
class Part(models.Model):
    """Goes with its thing, by the ORM's cascade."""

    thing = models.ForeignKey(Thing, models.CASCADE)
    name = models.CharField(max_length=100)


@audit.track()
class Remark(models.Model):
    """Stays when its part goes, and forgets it."""

    part = models.ForeignKey(Part, models.SET_NULL, null=True)
    text = models.TextField()


@audit.track()
class Tag(models.Model):
    name = models.CharField(max_length=100)
    things = models.ManyToManyField(Thing, related_name="tags")


@audit.track()
class Person(models.Model):
    name = models.CharField(max_length=100)
    friends = models.ManyToManyField("self")


@audit.track()
class Team(models.Model):
    name = models.CharField(max_length=100)
    members = models.ManyToManyField(Person, through="Membership", related_name="teams")


@audit.track()
class Membership(models.Model):
    """A many-to-many table with a column of its own."""

    team = models.ForeignKey(Team, models.CASCADE)
    person = models.ForeignKey(Person, models.CASCADE)
    role = models.CharField(max_length=20, default="member")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "person"], name="everything_one_membership")]


@audit.track()
class Place(models.Model):
    name = models.CharField(max_length=100)


@audit.track()
class Restaurant(Place):
    """A row here is a row of Place too."""

    stars = models.IntegerField(default=0)


@audit.track()
class Pizzeria(Restaurant):
    ovens = models.IntegerField(default=1)
    guests = models.ManyToManyField(Person)


# --- keys ----------------------------------------------------------------------------------------------------------


@audit.track()
class UuidKeyed(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=100)


@audit.track()
class TextKeyed(models.Model):
    code = models.CharField(max_length=100, primary_key=True)
    name = models.CharField(max_length=100)


@audit.track()
class AddressKeyed(models.Model):
    address = models.GenericIPAddressField(primary_key=True)
    name = models.CharField(max_length=100)


@audit.track()
class MomentKeyed(models.Model):
    at = models.DateTimeField(primary_key=True)
    name = models.CharField(max_length=100)


@audit.track()
class PairKeyed(models.Model):
    """A composite primary key."""

    pk = models.CompositePrimaryKey("tenant", "code")
    tenant = models.IntegerField()
    code = models.CharField(max_length=100)
    name = models.CharField(max_length=100)


@audit.track()
class NothingButKey(models.Model):
    """A row whose only column is its key."""


@audit.track()
class LongNamed(models.Model):
    name = models.CharField(max_length=100)

    class Meta:
        db_table = "everything_" + "long" * 13  # 63 bytes, PostgreSQL's most


# --- tables made elsewhere -------------------------------------------------------------------------------------------


@audit.track()
class RawParent(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()

    class Meta:
        managed = False
        db_table = "raw_parent"


@audit.track()
class RawChild(models.Model):
    """Goes with its parent, by the database's cascade: the ORM knows nothing of it."""

    id = models.BigIntegerField(primary_key=True)
    parent = models.ForeignKey(RawParent, models.DO_NOTHING)
    name = models.TextField()

    class Meta:
        managed = False
        db_table = "raw_child"


@audit.track()
class OddlyNamed(models.Model):
    key = models.BigIntegerField(primary_key=True, db_column="The Key")
    name = models.TextField(db_column="It's a Näme")
    select = models.TextField(default="")

    class Meta:
        managed = False
        db_table = "Odd Näme's Table"


@audit.track()
class Quoted(models.Model):
    """A name in quotes is taken by Django as it stands."""

    id = models.BigIntegerField(primary_key=True)
    name = models.TextField(db_column='"a ""quoted"" one"')

    class Meta:
        managed = False
        db_table = '"Quoted ""Table"""'


@audit.track()
class RawTypes(models.Model):
    """A table with columns that the model doesn't know."""

    id = models.BigIntegerField(primary_key=True)

    class Meta:
        managed = False
        db_table = "raw_types"


# --- values ----------------------------------------------------------------------------------------------------------


@audit.track()
class Values(models.Model):
    """One field for each of the types that the ORM offers; all may be empty."""

    boolean = models.BooleanField(null=True)
    char = models.CharField(max_length=100, null=True)  # noqa: DJ001 - the types' tests need NULL everywhere
    text = models.TextField(null=True)  # noqa: DJ001
    small = models.SmallIntegerField(null=True)
    integer = models.IntegerField(null=True)
    big = models.BigIntegerField(null=True)
    positive_small = models.PositiveSmallIntegerField(null=True)
    positive = models.PositiveIntegerField(null=True)
    positive_big = models.PositiveBigIntegerField(null=True)
    decimal = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    float = models.FloatField(null=True)
    date = models.DateField(null=True)
    time = models.TimeField(null=True)
    moment = models.DateTimeField(null=True)
    duration = models.DurationField(null=True)
    uuid = models.UUIDField(null=True)
    json = models.JSONField(null=True)
    binary = models.BinaryField(null=True)
    address = models.GenericIPAddressField(null=True)
    slug = models.SlugField(max_length=200, null=True)  # noqa: DJ001
    url = models.URLField(null=True)  # noqa: DJ001
    email = models.EmailField(null=True)  # noqa: DJ001
    file = models.FileField(upload_to="everything", null=True)
    image = models.ImageField(upload_to="everything", null=True)
    path = models.FilePathField(path="/", null=True)  # noqa: DJ001
    choice = models.CharField(max_length=1, choices=[("a", "first"), ("b", "second")], null=True)  # noqa: DJ001
    integers = ArrayField(models.IntegerField(null=True), null=True)
    nested = ArrayField(ArrayField(models.TextField(), size=2), null=True)
    decimals = ArrayField(models.DecimalField(max_digits=30, decimal_places=10), null=True)
    dates = ArrayField(models.DateField(), null=True)
    moments = ArrayField(models.DateTimeField(), null=True)
    binaries = ArrayField(models.BinaryField(), null=True)
    documents = ArrayField(models.JSONField(), null=True)
    integer_range = IntegerRangeField(null=True)
    big_range = BigIntegerRangeField(null=True)
    decimal_range = DecimalRangeField(null=True)
    date_range = DateRangeField(null=True)
    moment_range = DateTimeRangeField(null=True)
    search = SearchVectorField(null=True)
    to_integer_key = models.ForeignKey(Thing, models.SET_NULL, null=True)
    to_uuid_key = models.ForeignKey(UuidKeyed, models.SET_NULL, null=True)
    to_text_key = models.ForeignKey(TextKeyed, models.SET_NULL, null=True)
    to_address_key = models.ForeignKey(AddressKeyed, models.SET_NULL, null=True)
    to_unique_name = models.ForeignKey(Thing, models.SET_NULL, to_field="name", null=True, related_name="+")
    one_to_one = models.OneToOneField(Place, models.SET_NULL, null=True)
    elsewhere = models.IntegerField(null=True, db_column="kept_elsewhere")


@audit.track()
class Computed(models.Model):
    """Columns that the database fills."""

    price = models.DecimalField(max_digits=30, decimal_places=10)
    count = models.IntegerField(db_default=3)
    total = models.GeneratedField(
        expression=models.F("price") * models.F("count"),
        output_field=models.DecimalField(max_digits=40, decimal_places=10),
        db_persist=True,
    )
    made_at = models.DateTimeField(db_default=Now())
    changed_at = models.DateTimeField(auto_now=True)


@audit.track(mask=["secret"], exclude=["noise"])
class Masked(models.Model):
    name = models.CharField(max_length=100)
    secret = models.JSONField(null=True)
    noise = models.TextField(default="")

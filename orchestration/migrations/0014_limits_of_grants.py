"""What effects and replies count for against limits of grants, one row each."""


from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orchestration', '0013_lineage'),
    ]

    operations = [
        migrations.CreateModel(
            name='LimitUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('counter', models.CharField(max_length=120)),
                ('effect', models.CharField(max_length=160)),
                ('at', models.DateTimeField()),
                ('amount', models.BigIntegerField()),
            ],
            options={
                'default_permissions': (),
                'indexes': [models.Index(fields=['counter', 'at'], name='limit_use_lately'), models.Index(fields=['effect'], name='limit_use_effect')],
                'constraints': [models.UniqueConstraint(fields=('counter', 'effect'), name='limit_use_once')],
            },
        ),
    ]
